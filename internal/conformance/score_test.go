package conformance_test

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"modelc/internal/conformance"
)

// unpassed lists the cases that do not pass, with engines and reason.
func unpassed(runs []*run) string {
	var b strings.Builder
	b.WriteString("# The cases that do not pass, the engines, and the reason.\n")
	for _, r := range runs {
		for e := 0; e < engines; e++ {
			if r.err[e] == nil || e > 0 && r.err[e-1] != nil && r.reason(e) == r.reason(e-1) {
				continue
			}
			var on []string // engines from this one on that agree
			for f := e; f < engines && r.err[f] != nil && r.reason(f) == r.reason(e); f++ {
				on = append(on, engineNames[f])
			}
			where := strings.Join(on, ",")
			if len(on) == engines {
				where = "all"
			}
			fmt.Fprintf(&b, "%s\t%s\t%s\n", r, where, r.reason(e))
		}
	}
	return b.String()
}

// score is the number of cases and the number that pass on each engine.
type score struct {
	all    int
	passed [engines]int
}

func (s *score) add(r *run) {
	s.all++
	for e, err := range r.err {
		if err == nil {
			s.passed[e]++
		}
	}
}

// cells returns the columns of a score in a table. They are empty for nil.
func (s *score) cells() string {
	if s == nil {
		return " | | | | |"
	}
	return fmt.Sprintf(" %d | %d | %d | %d | %d |", s.all, s.passed[byEval], s.passed[byInproc], s.passed[byGo], s.passed[byCUDA])
}

// table holds scores by name: index 0 for required cases, 1 for others.
type table map[string]*[2]*score

func (t table) add(name string, r *run) {
	if t[name] == nil {
		t[name] = &[2]*score{}
	}
	s := &t[name][0]
	if !r.Required {
		s = &t[name][1]
	}
	if *s == nil {
		*s = &score{}
	}
	(*s).add(r)
}

func (t table) write(b *strings.Builder, what string) {
	fmt.Fprintf(b, "\n| %s | required | eval | inproc | go | cuda | others | eval | inproc | go | cuda |\n|%s\n", what, strings.Repeat(" --- |", 11))
	for _, name := range slices.Sorted(maps.Keys(t)) {
		fmt.Fprintf(b, "| %s |%s%s\n", name, t[name][0].cells(), t[name][1].cells())
	}
}

// totals returns the scores of all rows of the list and of the distinct cases.
// A copy has the result of its original.
func totals(cases []*conformance.Case, byName map[string]*run) table {
	t := table{}
	for _, c := range cases {
		if c.SameAs != "" {
			t.add("rows", byName[c.SameAs])
			continue
		}
		t.add("rows", byName[c.String()])
		t.add("distinct cases", byName[c.String()])
	}
	return t
}

func summary(cases []*conformance.Case, byName map[string]*run) string {
	var b strings.Builder
	t := totals(cases, byName)
	for _, name := range []string{"rows", "distinct cases"} {
		for i, kind := range []string{"required", "other"} {
			s := t[name][i]
			fmt.Fprintf(&b, "%s %s: %d", kind, name, s.all)
			for e, n := range s.passed {
				fmt.Fprintf(&b, ", %s passes %d", engineNames[e], n)
			}
			b.WriteString("\n")
		}
	}
	return b.String()
}

// document is docs/conformance.md.
func document(cases []*conformance.Case, byName map[string]*run) string {
	byOp, byType, byZip := table{}, table{}, table{}
	refused := map[string]int{}
	detail := regexp.MustCompile(`-[0-9]+:| \(".*?"\)`) // versions of operators, names of operands
	for _, c := range cases {
		r := byName[cmp.Or(c.SameAs, c.String())]
		byZip.add(c.Zip, r)
		if c.SameAs != "" {
			continue
		}
		for _, op := range c.Ops {
			byOp.add(op, r)
		}
		for _, t := range c.Types {
			byType.add(t, r)
		}
		if r.err[byGo] != nil {
			refused[detail.ReplaceAllStringFunc(r.reason(byGo), func(s string) string {
				if strings.HasSuffix(s, ":") {
					return ":"
				}
				return ""
			})]++
		}
	}
	var b strings.Builder
	b.WriteString(head)
	totals(cases, byName).write(&b, "")
	b.WriteString("\n## By release\n\nRows.\n")
	byZip.write(&b, "release")
	b.WriteString("\n## By element type\n\nDistinct cases with a tensor of the type.\n")
	byType.write(&b, "type")
	b.WriteString("\n## By operator\n\nDistinct cases with the operator. The domain precedes the operator unless it is the default domain.\n")
	byOp.write(&b, "operator")
	b.WriteString("\n## What does not pass\n\nDistinct cases by reason. internal/conformance/testdata/conformance.txt lists each case.\n\n| cases | reason |\n| --- | --- |\n")
	for _, why := range slices.SortedFunc(maps.Keys(refused), func(a, b string) int {
		return cmp.Or(cmp.Compare(refused[b], refused[a]), strings.Compare(a, b))
	}) {
		fmt.Fprintf(&b, "| %d | %s |\n", refused[why], strings.ReplaceAll(why, "|", "\\|"))
	}
	return b.String()
}

const head = `# Conformance

` + "`MODELC_CORPUS=… go test ./internal/conformance -update`" + ` makes this page. It runs the ONNX node tests of nine releases and of the two PyTorch sets on four engines:

- eval: the reference interpreter;
- inproc: the kernels of the optimised graph, in the test's process;
- go: the generated package;
- cuda-emulated (cuda): the kernels for an NVIDIA GPU and the launcher, on the emulator.

The required cases are those of convolutional networks: their operators, with float32, float64, int32, int64 and bool. Inputs that are weights, shapes or axes in real networks are bound as constants (` + "`--bind`" + `). A case passes if its outputs have the stored types and shapes, floats are within 1e-5 + 1e-3·|x|, and all other values are equal. A case that several releases contain byte for byte runs once.
`
