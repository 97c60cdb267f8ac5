//! What the viewer sees: lines that stay, and on a terminal a panel below them that is drawn
//! anew in place. A pipe gets the same as plain lines.

use std::{
    io::{self, IsTerminal, Write},
    thread,
    time::Duration,
};

use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

use super::panel::{Panel, Style};

/// Lines and panels that may wait for a slow terminal.
const WAITING_MAX: usize = 64;
/// How often a pipe gets the panel as a line.
const PLAIN_INTERVAL: Duration = Duration::from_secs(5);

/// Writes to standard output, from a thread of its own.
#[derive(Debug)]
pub struct Screen {
    to_painter: mpsc::Sender<Picture>,
    painted: oneshot::Receiver<()>,
    started: Instant,
    animated: bool,
    last_plain: Option<Instant>,
}

enum Picture {
    Line(String),
    Panel(Panel),
    NoPanel,
}

impl Screen {
    /// Takes over standard output.
    pub fn open() -> Self {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let animated =
            io::stdout().is_terminal() && set("TERM").is_some_and(|terminal| terminal != "dumb");
        let style = Style { animated, coloured: animated && set("NO_COLOR").is_none() };
        let (to_painter, pictures) = mpsc::channel(WAITING_MAX);
        let (done, painted) = oneshot::channel();
        thread::spawn(move || {
            let mut painter = Painter::new(io::stdout(), style);
            // Whoever closed the pipe wants no more lines; the exit code still tells the result.
            let _ = painter.paint(pictures);
            let _ = done.send(());
        });
        Self { to_painter, painted, started: Instant::now(), animated, last_plain: None }
    }

    /// Says something, with the time.
    pub async fn say(&self, text: &str) {
        let time = self.started.elapsed().as_secs_f32();
        self.print(format!("{time:6.1} s  {text}")).await;
    }

    /// Prints a line as it is.
    pub async fn print(&self, line: String) {
        // An error means that nobody reads any more.
        let _ = self.to_painter.send(Picture::Line(line)).await;
    }

    /// Shows how things stand.
    pub async fn show(&mut self, panel: Panel) {
        if self.animated {
            // As in `print`.
            let _ = self.to_painter.send(Picture::Panel(panel)).await;
        } else if self.last_plain.is_none_or(|last| last.elapsed() >= PLAIN_INTERVAL) {
            self.last_plain = Some(Instant::now());
            self.say(&format!("  {}", panel.line())).await;
        }
    }

    /// Takes the panel away.
    pub async fn clear(&self) {
        // As in `print`.
        let _ = self.to_painter.send(Picture::NoPanel).await;
    }

    /// Ends when everything is written.
    pub async fn close(self) {
        drop(self.to_painter);
        // An error means that the painter is gone already.
        let _ = self.painted.await;
    }
}

/// Draws on a terminal or writes to a pipe.
#[derive(Debug)]
struct Painter<W> {
    out: W,
    style: Style,
    panel: Option<Panel>,
    drawn_lines: usize,
}

impl<W: Write> Painter<W> {
    fn new(out: W, style: Style) -> Self {
        Self { out, style, panel: None, drawn_lines: 0 }
    }

    fn paint(&mut self, mut pictures: mpsc::Receiver<Picture>) -> io::Result<()> {
        while let Some(picture) = pictures.blocking_recv() {
            self.erase()?;
            match picture {
                Picture::Line(line) => writeln!(self.out, "{line}")?,
                Picture::Panel(panel) => self.panel = Some(panel),
                Picture::NoPanel => self.panel = None,
            }
            self.draw()?;
            self.out.flush()?;
        }
        self.erase()?;
        self.out.flush()
    }

    fn erase(&mut self) -> io::Result<()> {
        if self.drawn_lines > 0 {
            write!(self.out, "\x1b[{}A\r\x1b[J", self.drawn_lines)?;
            self.drawn_lines = 0;
        }
        Ok(())
    }

    fn draw(&mut self) -> io::Result<()> {
        let Some(panel) = self.panel.as_ref().filter(|_| self.style.animated) else {
            return Ok(());
        };
        // Without wrapping, a line is one line also where the terminal is narrow.
        write!(self.out, "\x1b[?7l")?;
        for line in panel.lines(self.style) {
            writeln!(self.out, "{line}")?;
            self.drawn_lines += 1;
        }
        write!(self.out, "\x1b[?7h")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn painted(style: Style, pictures: Vec<Picture>) -> String {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        for picture in pictures {
            assert!(sender.try_send(picture).is_ok());
        }
        drop(sender);
        let mut painter = Painter::new(Vec::new(), style);
        painter.paint(receiver).unwrap();
        String::from_utf8(painter.out).unwrap()
    }

    fn line(text: &str) -> Picture {
        Picture::Line(text.to_owned())
    }

    #[test]
    fn a_terminal_draws_the_panel_anew_below_the_lines() {
        let style = Style { animated: true, coloured: false };
        let panel = Panel::default();
        let height = panel.lines(style).len();
        let text = painted(style, vec![Picture::Panel(panel.clone()), line("a line")]);
        let erase = format!("\x1b[{height}A\r\x1b[J");
        assert_eq!(text.matches(&erase).count(), 2, "{text:?}");
        assert!(text.contains(&format!("{erase}a line\n")), "{text:?}");
        assert!(text.ends_with(&erase), "the panel is gone at the end: {text:?}");
    }

    #[test]
    fn a_pipe_gets_plain_lines() {
        let style = Style { animated: false, coloured: false };
        let text = painted(style, vec![line("one"), Picture::Panel(Panel::default()), line("two")]);
        assert_eq!(text, "one\ntwo\n");
    }
}
