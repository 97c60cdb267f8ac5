//! The recovery scan, on a folder that may be anything.

use super::{
    craft,
    examine::examine,
    folder::{Folder, Session, new_record, segment_name},
    input::Input,
    mend,
};
use crate::{Compression, OnFull, disk::Disk as _, segment::SegmentName};

const STEPS_MAX: usize = 24;
const EDITS_MAX: usize = 24;
const RECORDS_MAX: usize = 8;
/// Payloads are multiples of this, up to 255 of them, so that segments fill up at times.
const PAYLOAD_UNIT_BYTES: usize = 40;

/// Builds a folder by a script in `bytes`, tampers with it as `bytes` say, mends its checksums
/// if they say so, and examines it.
pub fn recovery(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let settings = input.byte();
    let policies = [OnFull::Reject, OnFull::DropOldest, OnFull::DropNewest];
    let compressions = [Compression::None, Compression::Lz4, Compression::Zstd];
    let folder = Folder::new(
        policies[usize::from(settings & 0xf) % policies.len()],
        compressions[usize::from(settings >> 4 & 3) % compressions.len()],
        settings & 0x40 != 0,
    );
    build(&folder, &mut input);
    for _ in 0..EDITS_MAX {
        if input.is_empty() {
            break;
        }
        edit(&folder, &mut input);
    }
    // Most of what there is to find is behind the checksums.
    if settings & 0x80 == 0 {
        mend_all(&folder);
    }
    examine(&folder);
}

fn build(folder: &Folder, input: &mut Input<'_>) {
    let mut session = None;
    for _ in 0..STEPS_MAX {
        let step = input.choice(6);
        if step == 0 {
            break;
        }
        let mut open = session.take().unwrap_or_else(|| folder.open().expect("nothing is wrong"));
        session = match step {
            1 => {
                open.tend();
                Some(open)
            }
            2 => {
                open.close();
                None
            }
            3 => None,
            4 => {
                acknowledge(&open, input);
                Some(open)
            }
            _ => {
                let count = 1 + input.choice(RECORDS_MAX);
                let bytes = input.choice(256) * PAYLOAD_UNIT_BYTES;
                let source = ["a", "b"][input.choice(2)];
                let records = (0..count).map(|_| new_record(source, vec![b'x'; bytes]));
                // A stream that is full is as good a beginning as any.
                let _ = open.append(records.collect());
                Some(open)
            }
        };
    }
}

fn acknowledge(session: &Session, input: &mut Input<'_>) {
    let records = session.read_all().expect("nothing is wrong");
    let pattern = input.byte();
    for record in records {
        if pattern >> (record.sequence % 8) & 1 == 1 {
            session.acknowledge(record.sequence);
        }
    }
}

/// One file is changed, removed, renamed or made.
fn edit(folder: &Folder, input: &mut Input<'_>) {
    match input.choice(4) {
        0 => return craft_file(folder, input),
        1 => return craft_cursor(folder, input),
        _ => {}
    }
    let files = folder.files();
    if files.is_empty() {
        return;
    }
    let path = &files[input.choice(files.len())];
    let mut content = folder.disk.content(path);
    match input.choice(7) {
        0 => {
            let name = craft::segment_name(input).file_name();
            folder.put(&name, &content);
            return;
        }
        1 => {
            return folder.disk.remove(path).expect("it is there");
        }
        2 => content.truncate(usize::from(input.short())),
        3 => {
            // Behind all that was written, or in the middle of it.
            let used = content.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            let at = if input.choice(2) == 0 { used } else { usize::from(input.short()) };
            let mut frame = Vec::new();
            let name = segment_name(path).unwrap_or(SegmentName { base: 0, id: 0 });
            craft::frame(&mut frame, input, &mut folder.bodies(name));
            let at = at.min(content.len());
            let end = (at + frame.len()).min(content.len());
            content.splice(at..end, frame);
        }
        4 => {
            let at = usize::from(input.short()).min(content.len());
            content.splice(at..at, input.bytes().iter().copied());
        }
        5 => {
            let at = usize::from(input.short()).min(content.len());
            let bytes = input.bytes();
            let end = (at + bytes.len()).min(content.len());
            content[at..end].copy_from_slice(&bytes[..end - at]);
        }
        _ => {
            let at = usize::from(input.short()).min(content.len());
            let width = 1 << input.choice(4);
            let number = input.number().to_le_bytes();
            let end = (at + width).min(content.len());
            content[at..end].copy_from_slice(&number[..end - at]);
        }
    }
    folder.disk.set_content(path, &content);
}

fn craft_file(folder: &Folder, input: &mut Input<'_>) {
    let name = craft::segment_name(input);
    match input.choice(4) {
        0 => folder.put(&name.file_name(), input.long_bytes()),
        1 => folder.put(&format!("{:016x}.spare", name.id), input.long_bytes()),
        _ => folder.put(&name.file_name(), &craft::segment(input, &mut folder.bodies(name))),
    }
}

fn craft_cursor(folder: &Folder, input: &mut Input<'_>) {
    let slot = ["cursor.0", "cursor.1"][input.choice(2)];
    if input.choice(4) == 0 {
        folder.put(slot, input.long_bytes());
    } else {
        folder.put(slot, &craft::cursor(input));
    }
}

fn mend_all(folder: &Folder) {
    for path in folder.files() {
        let mut content = folder.disk.content(&path);
        if let Some(name) = segment_name(&path) {
            mend::segment(&mut content, name);
        } else if path.to_string_lossy().contains("cursor") && !content.iter().all(|b| *b == 0) {
            mend::cursor(&mut content);
        }
        folder.disk.set_content(&path, &content);
    }
}
