//! Whether everything that is queued can be read.

use std::io;

use serde::Serialize;

use super::{
    Folder, InspectError,
    folder::{Sight, TRIES, parts},
};
use crate::{
    Damage, Torn,
    damage::{named, open_gaps},
    recovery::header_remark,
    scan::Gap,
};

/// What is damaged in a folder.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Queued records that are damaged, in order, stream by stream.
    pub damage: Vec<Damage>,
    /// Records of writes that were cut off. Nothing is wrong with that: nobody was told that they
    /// were stored.
    pub torn: Vec<Torn>,
    /// Anything else that is wrong: a slot of the cursor, a file that cannot be read.
    pub notes: Vec<String>,
    /// What is damaged and needs no repair, since nothing is lost by it and it goes by itself:
    /// the header of a segment.
    pub remarks: Vec<String>,
    /// Queued records that are intact.
    pub intact: u64,
    /// Whether a repair leaves some of it as it is: a segment that cannot be read at this time.
    #[serde(skip)]
    pub irreparable: bool,
}

impl Report {
    /// Whether nothing is wrong that needs repair.
    pub fn is_clean(&self) -> bool {
        self.damage.is_empty() && self.notes.is_empty()
    }

    /// How many queued records are damaged.
    pub fn damaged(&self) -> u64 {
        self.damage.iter().map(|damage| damage.sequences.end - damage.sequences.start).sum()
    }

    /// Keeps what an earlier look had found as well.
    fn confirmed_by(&mut self, earlier: &Self) {
        self.damage.retain(|now| {
            earlier.damage.iter().any(|before| {
                before.file == now.file
                    && before.sequences.start < now.sequences.end
                    && now.sequences.start < before.sequences.end
            })
        });
        self.notes.retain(|note| earlier.notes.contains(note));
        self.remarks.retain(|remark| earlier.remarks.contains(remark));
        self.irreparable &= earlier.irreparable;
    }
}

impl Folder {
    /// Reads every record of the queue and names each that is damaged.
    pub fn verify(&self) -> Result<Report, InspectError> {
        self.verify_all().map_err(|source| self.failed(source))
    }

    fn verify_all(&self) -> io::Result<Report> {
        let mut all = Report::default();
        for name in self.names()? {
            let one = self.verify_stream(&name)?;
            all.damage.extend(one.damage);
            all.torn.extend(one.torn);
            all.notes.extend(one.notes);
            all.remarks.extend(one.remarks);
            all.intact += one.intact;
            all.irreparable |= one.irreparable;
        }
        Ok(all)
    }

    fn verify_stream(&self, stream: &str) -> io::Result<Report> {
        let mut found = self.read_stream(stream)?;
        for _ in 1..TRIES {
            if found.is_clean() && found.remarks.is_empty() {
                break;
            }
            self.pause();
            let mut again = self.read_stream(stream)?;
            let steady = again == found;
            again.confirmed_by(&found);
            found = again;
            if steady {
                break;
            }
        }
        Ok(found)
    }

    fn read_stream(&self, stream: &str) -> io::Result<Report> {
        let found = self.assess(stream)?;
        let mut report = Report::default();
        let once = |texts: &mut Vec<String>, text: String| {
            if !texts.contains(&text) {
                texts.push(text);
            }
        };
        report.notes.extend(found.report.notes.iter().cloned());
        report.remarks.extend(found.report.remarks.iter().cloned());
        for part in parts(&found) {
            let gaps = match self.look_at(stream, part)? {
                Sight::Gone => continue,
                Sight::Unreadable(error) => {
                    let file = part.name.file_name();
                    let text = format!("stream {stream}: {file} cannot be read: {error}");
                    once(&mut report.notes, text);
                    report.irreparable = true;
                    vec![Gap { sequences: part.name.base..part.end, bytes: 0..part.file_bytes }]
                }
                Sight::Seen(survey) => {
                    let records = survey.scan.records.iter();
                    let queued = records.filter(|record| !found.settled.contains(record.sequence));
                    report.intact += queued.count() as u64;
                    if survey.header.is_none() {
                        once(&mut report.remarks, header_remark(stream, part.name));
                    }
                    survey.scan.gaps(part.name.base, part.end)
                }
            };
            let gaps = open_gaps(&gaps, &found.settled);
            report.damage.extend(named(stream, part.name, &gaps));
        }
        report.damage.extend(found.report.damage);
        report.torn = found.report.torn;
        report.damage.sort_by_key(|damage| damage.sequences.start);
        Ok(report)
    }
}
