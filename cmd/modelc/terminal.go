package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"modelc/internal/columns"
	"modelc/internal/plaintext"
)

// terminal has the outputs of a command: out for results, err for everything else.
type terminal struct {
	out, err   stream
	progress   *progress
	colourless bool // the user wants no colours
	quiet      bool // --quiet
}

// stream is an output of the process. tty is set if it is a terminal, with a number of columns
// if it is known.
type stream struct {
	io.Writer
	tty     bool
	columns int
}

// newTerminal returns a terminal that writes to out and err.
func newTerminal(out, err io.Writer) *terminal {
	e := newStream(err)
	return &terminal{
		out:        newStream(out),
		err:        e,
		progress:   &progress{w: err, bar: e.tty && os.Getenv("TERM") != "dumb", columns: e.columns, now: time.Now},
		colourless: os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb",
	}
}

func newStream(w io.Writer) stream {
	s := stream{Writer: w, tty: isTerminal(w)}
	if f, ok := w.(*os.File); ok && s.tty {
		s.columns, _, _ = term.GetSize(int(f.Fd()))
	}
	return s
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// behind returns a writer to s. The writer escapes control characters, which can come
// from a file, except colours for a terminal. If s is a terminal, the writer first
// erases the progress bar.
func (t *terminal) behind(s stream) io.Writer { return screen{t, s} }

type screen struct {
	t *terminal
	stream
}

func (s screen) Write(b []byte) (int, error) {
	text := ""
	if s.tty {
		s.t.progress.clear()
		text = plainBetweenColours(string(b))
	} else {
		text = plaintext.Text(string(b))
	}
	_, err := io.WriteString(s.Writer, text)
	return len(b), err
}

// Columns returns the width of a terminal, for package columns.
func (s screen) Columns() int { return s.columns }

// plainBetweenColours makes text plain and keeps the sequences that paint writes.
func plainBetweenColours(text string) string {
	var out strings.Builder
	for text != "" {
		at, sequence := len(text), ""
		for _, c := range []colour{good, warn, bad, reset} {
			if i := strings.Index(text[:at], string(c)); i >= 0 {
				at, sequence = i, string(c)
			}
		}
		out.WriteString(plaintext.Text(text[:at]) + sequence)
		text = text[at+len(sequence):]
	}
	return out.String()
}

// A colour is the escape sequence for the meaning of a text.
type colour string

const (
	good colour = "\x1b[32m" // green
	warn colour = "\x1b[33m" // yellow
	bad  colour = "\x1b[31m" // red

	reset colour = "\x1b[0m"
)

// paint returns text for s, coloured if s is a terminal and the user wants
// colours.
func (t *terminal) paint(s stream, c colour, text string) string {
	if !s.tty || t.colourless {
		return text
	}
	return string(c) + text + string(reset)
}

// fail prints an error.
func (t *terminal) fail(err error) {
	t.remark(t.paint(t.err, bad, "modelc:") + " " + err.Error())
}

// remark prints a text about the work of the command.
func (t *terminal) remark(text string) {
	w := t.behind(t.err)
	fmt.Fprint(w, columns.Text(w, text+"\n"))
}

// prose calls print with a writer to the standard output of c. Lines break between words at the
// width of a terminal.
func prose(c *cobra.Command, print func(w io.Writer) error) error {
	return columns.Prose(c.OutOrStdout(), print)
}

type terminalKey struct{}

func withTerminal(ctx context.Context, t *terminal) context.Context {
	return context.WithValue(ctx, terminalKey{}, t)
}

// terminalOf returns the terminal that c runs on.
func terminalOf(c *cobra.Command) *terminal { return c.Context().Value(terminalKey{}).(*terminal) }

// errInterrupted ends work that the user interrupted.
var errInterrupted = errors.New("interrupted")

// progressOf returns the function that shows the progress of c's work. It returns
// an error if the user has interrupted the work.
func progressOf(c *cobra.Command) func(stage string, done, total int) error {
	ctx, t := c.Context(), terminalOf(c)
	return func(stage string, done, total int) error {
		if ctx.Err() != nil {
			return errInterrupted
		}
		if !t.quiet {
			t.progress.report(stage, done, total)
		}
		return nil
	}
}

// progress shows the progress of long work: as a bar on a terminal, otherwise as a
// line every few seconds. It shows nothing for short work.
type progress struct {
	w       io.Writer
	bar     bool
	columns int // of the terminal; 0 if they are unknown
	now     func() time.Time

	start, shown time.Time // when the work started, when progress was last shown
	stage        string    // stage that the bar shows; empty if there is no bar
	only         string    // the only stage that is shown, with the rate of its units; empty for all
	began        time.Time // when that stage began
	first        int       // the units that were done then
}

// rate returns the rate of the units and the remaining time.
func (p *progress) rate(now time.Time, done, total int) string {
	if p.only == "" {
		return ""
	}
	if p.began.IsZero() {
		p.began, p.first = now, done
	}
	elapsed := now.Sub(p.began)
	if done <= p.first || elapsed < time.Second {
		return ""
	}
	each := elapsed / time.Duration(done-p.first)
	left := (each * time.Duration(total-done)).Round(time.Second)
	return fmt.Sprintf(", %d of %d, %.3g/s, %s left", done, total, 1/each.Seconds(), left)
}

const (
	patience  = 400 * time.Millisecond // time before a bar appears
	frame     = 100 * time.Millisecond // time between two states of the bar
	lineEvery = 5 * time.Second        // time between two lines
)

// report shows that done of total units of a stage are done.
func (p *progress) report(stage string, done, total int) {
	if p.only != "" && stage != p.only {
		return
	}
	now := p.now()
	if p.start.IsZero() {
		p.start, p.shown = now, now
	}
	part := min(1, float64(done)/max(1, float64(total)))
	rate := p.rate(now, done, total)
	switch since := now.Sub(p.shown); {
	case !p.bar && since >= lineEvery:
		fmt.Fprintf(p.w, "modelc: %s, %.0f %%%s\n", stage, 100*part, rate)
		p.shown = now
	case p.bar && now.Sub(p.start) >= patience && (stage != p.stage || since >= frame):
		width, end := 24, fmt.Sprintf("│ %3.0f %%%s", 100*part, rate)
		if room := p.columns - stageWidth - 2 - utf8.RuneCountInString(end); p.columns > 0 {
			width = min(width, max(0, room)) // a second line could not be erased
		}
		filled := int(float64(width) * part)
		fmt.Fprintf(p.w, eraseLine+"%-*s │%s%s%s", stageWidth, stage, strings.Repeat("█", filled), strings.Repeat("·", width-filled), end)
		p.stage, p.shown = stage, now
	}
}

const (
	eraseLine  = "\r\x1b[2K"
	stageWidth = 20
)

// clear erases the bar. The next report draws it again.
func (p *progress) clear() {
	if p.stage != "" {
		p.stage = ""
		io.WriteString(p.w, eraseLine)
	}
}
