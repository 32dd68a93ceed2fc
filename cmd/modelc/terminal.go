package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// terminal is where a command writes: results to out, all else to err.
type terminal struct {
	out, err   stream
	progress   *progress
	colourless bool // whoever uses it wants none
	quiet      bool // --quiet
}

// stream is one of the two, and whether a person looks at it.
type stream struct {
	io.Writer
	tty bool
}

// newTerminal returns a terminal on two writers, which may be files.
func newTerminal(out, err io.Writer) *terminal {
	return &terminal{
		out:        stream{out, isTerminal(out)},
		err:        stream{err, isTerminal(err)},
		progress:   &progress{w: err, bar: isTerminal(err) && os.Getenv("TERM") != "dumb", now: time.Now},
		colourless: os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb",
	}
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// behind returns a writer to s that takes the bar away first, which would
// stand in the way on the same screen.
func (t *terminal) behind(s stream) io.Writer {
	if !s.tty {
		return s.Writer
	}
	return writer(func(b []byte) (int, error) {
		t.progress.clear()
		return s.Write(b)
	})
}

type writer func(b []byte) (int, error)

func (w writer) Write(b []byte) (int, error) { return w(b) }

// A colour is what a stretch of text means.
type colour string

const (
	good colour = "\x1b[32m" // green
	warn colour = "\x1b[33m" // yellow
	bad  colour = "\x1b[31m" // red
)

// paint returns text for s, in colour where a person sees it and wants it.
func (t *terminal) paint(s stream, c colour, text string) string {
	if !s.tty || t.colourless {
		return text
	}
	return string(c) + text + "\x1b[0m"
}

// fail prints an error.
func (t *terminal) fail(err error) {
	fmt.Fprintln(t.err, t.paint(t.err, bad, "modelc:"), err)
}

type terminalKey struct{}

func withTerminal(ctx context.Context, t *terminal) context.Context {
	return context.WithValue(ctx, terminalKey{}, t)
}

// terminalOf returns the terminal that c runs on.
func terminalOf(c *cobra.Command) *terminal { return c.Context().Value(terminalKey{}).(*terminal) }

// errInterrupted ends work that the user does not want any more.
var errInterrupted = errors.New("interrupted")

// progressOf returns where c's work tells how far it is, and learns that the
// user does not want it any more.
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

// progress shows how far long work is: a bar on a terminal, elsewhere a line
// now and then. Of what is done soon it shows nothing.
type progress struct {
	w   io.Writer
	bar bool
	now func() time.Time

	start, shown time.Time // of the work, of what was shown last
	stage        string    // that the bar shows; empty while none is on the screen
}

const (
	patience  = 400 * time.Millisecond // before a bar appears
	frame     = 100 * time.Millisecond // between two of its states
	lineEvery = 5 * time.Second        // between lines in a log
)

// report tells that so much of a stage's total is done. It is called one call
// after the other.
func (p *progress) report(stage string, done, total int) {
	now := p.now()
	if p.start.IsZero() {
		p.start, p.shown = now, now
	}
	part := min(1, float64(done)/max(1, float64(total)))
	switch since := now.Sub(p.shown); {
	case !p.bar && since >= lineEvery:
		fmt.Fprintf(p.w, "modelc: %s, %.0f %%\n", stage, 100*part)
		p.shown = now
	case p.bar && now.Sub(p.start) >= patience && (stage != p.stage || since >= frame):
		const width = 24
		filled := int(width * part)
		fmt.Fprintf(p.w, eraseLine+"%-*s │%s%s│ %3.0f %%", stageWidth, stage, strings.Repeat("█", filled), strings.Repeat("·", width-filled), 100*part)
		p.stage, p.shown = stage, now
	}
}

const (
	eraseLine  = "\r\x1b[2K"
	stageWidth = 20
)

// clear takes the bar off the screen, until there is more to report.
func (p *progress) clear() {
	if p.stage != "" {
		p.stage = ""
		io.WriteString(p.w, eraseLine)
	}
}
