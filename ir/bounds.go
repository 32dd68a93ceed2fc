package ir

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Bound is a quantity that is limited, because a model of a few bytes can describe any
// amount of memory and work.
type Bound uint8

// The limited quantities.
const (
	BoundElements Bound = iota
	BoundConstants
	BoundSession
	BoundFLOPs
	BoundNodes
	BoundDepth
	BoundIterations
	BoundTime
	numBounds
)

// bounds lists the limits, with the default of each. Networks for pictures stay below the
// defaults. docs/limits.md prints this table.
var bounds = [numBounds]struct {
	name, unit string
	max        int64
	doc        string
}{
	BoundElements:   {"elements", "elements of a tensor", 1 << 28, "Elements of an input, and of each result of a node."},
	BoundConstants:  {"constants", "bytes of computed constants", 1 << 30, "Bytes of the constants that a model computes, beyond 8 times the size of its files. Those of different elements count 8 times."},
	BoundSession:    {"session", "bytes of a session", 1 << 32, "Bytes of the inputs, outputs and intermediate values of a session."},
	BoundFLOPs:      {"flops", "operations of a run", 4e12, "Floating-point operations of a run. Each element of a result counts as one or more."},
	BoundNodes:      {"nodes", "nodes", 1 << 15, "Nodes, when functions, submodels and branches are expanded. Eight operands and results count as a node."},
	BoundDepth:      {"depth", "nested functions and branches", 16, "Functions and branches inside each other."},
	BoundIterations: {"iterations", "iterations", 1 << 10, "Iterations of a loop, whose body is repeated for each."},
	BoundTime:       {"time", "seconds", 3600, "Seconds for the passes and the schedule, and for each run of the reference interpreter."},
}

// Bounds has the maximum of each bounded quantity. In the zero value each is the default.
type Bounds [numBounds]int64

// Max returns the maximum of b.
func (l *Bounds) Max(b Bound) int64 {
	if l[b] != 0 {
		return l[b]
	}
	return bounds[b].max
}

// Check returns an error if n is greater than the maximum of b.
func (l *Bounds) Check(b Bound, n int64) error {
	if n <= l.Max(b) {
		return nil
	}
	return fmt.Errorf("%d exceeds the limit of %d %s; raise it with --limit %s=N", n, l.Max(b), bounds[b].unit, bounds[b].name)
}

// Set sets a limit from text: NAME=N. N is a positive number such as 100000 or 2e12.
func (l *Bounds) Set(text string) error {
	name, value, _ := strings.Cut(text, "=")
	var names []string
	for b := range bounds {
		names = append(names, bounds[b].name)
		if bounds[b].name != name {
			continue
		}
		x, err := strconv.ParseFloat(value, 64)
		if err != nil || !(x >= 1 && x < math.MaxInt64/2) {
			return fmt.Errorf("%q: want %s=N with N ≥ 1", text, name)
		}
		l[b] = int64(x)
		return nil
	}
	return fmt.Errorf("%q: want NAME=N with a name among %s", text, strings.Join(names, ", "))
}

// BoundsTable returns the table of limits as Markdown.
func BoundsTable() string {
	var t strings.Builder
	t.WriteString("| name | default | what is limited |\n| --- | --- | --- |\n")
	for _, b := range bounds {
		fmt.Fprintf(&t, "| `%s` | %d | %s |\n", b.name, b.max, b.doc)
	}
	return t.String()
}
