package internal_test

import (
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the table of costs in docs/scaling.md")

// The price of the table's costs, in US dollars per hour of a core.
const price = 0.04

// The table of costs in docs/scaling.md follows from the table of times in
// docs/performance.md.
func TestCosts(t *testing.T) {
	const begin, end = "<!-- costs: go test ./internal -run TestCosts -update -->\n", "<!-- end of costs -->"
	times, err := os.ReadFile("../docs/performance.md")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../docs/scaling.md")
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(page), begin)
	got, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatal("docs/scaling.md has no table of costs")
	}
	want := costs(t, string(times))
	if *update {
		if err := os.WriteFile("../docs/scaling.md", []byte(before+begin+want+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("docs/scaling.md (-update rewrites it):\n%s", d)
	}
}

// costs computes the table from the rows of one thread: model, threads, ms, …
func costs(t *testing.T, page string) string {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "| model | ms an image | images/s | core hours a million images | USD a million images |\n| --- | --- | --- | --- | --- |\n")
	rows := 0
	_, table, _ := strings.Cut(page, "| model | threads | modelc |")
	table, _, _ = strings.Cut(table, "\n\n")
	for line := range strings.Lines(table) {
		cells := strings.Split(line, "|")
		if len(cells) < 5 || strings.TrimSpace(cells[2]) != "1" {
			continue
		}
		name, text := strings.TrimSpace(cells[1]), strings.TrimSpace(cells[3])
		ms, err := strconv.ParseFloat(text, 64)
		if err != nil {
			t.Fatal(err)
		}
		hours := ms * 1e6 / 1e3 / 3600
		fmt.Fprintf(&b, "| %s | %s | %.*f | %.2g | %.2g |\n", name, text, max(0, 3-len(strconv.Itoa(int(1000/ms)))), 1000/ms, hours, hours*price)
		rows++
	}
	if rows < 5 {
		t.Fatalf("docs/performance.md has %d rows of one thread", rows)
	}
	return b.String()
}
