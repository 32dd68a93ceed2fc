package speed

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Times returns a table of the times of all engines, and what it was measured on.
func Times(rows []*Row) string {
	var b strings.Builder
	versions := map[string]string{}
	for _, r := range rows {
		for k := range r.Failed {
			versions[k] = cmp.Or(versions[k], " ")
		}
		for k, v := range r.Versions {
			versions[k] = v
		}
	}
	var shown []engine
	var head []string
	for _, e := range engines {
		if e.name == "modelc" || versions[e.name] != "" {
			shown = append(shown, e)
			head = append(head, strings.TrimSpace(e.title+" "+versions[e.name]))
		}
	}
	b.WriteString(Source(rows))
	fmt.Fprintf(&b, "\n| model | threads | %s | × ONNX Runtime | × the fastest other | GFLOP/s | of the peak |\n|%s\n", strings.Join(head, " | "), strings.Repeat(" --- |", len(shown)+6))
	for _, r := range rows {
		fmt.Fprintf(&b, "| %s | %d |", r.Model, r.Threads)
		for _, e := range shown {
			fmt.Fprintf(&b, " %s |", cmp.Or(r.Failed[e.name], number(r.Ms[e.name])))
		}
		fmt.Fprintf(&b, " %s | %s | %.0f | %.0f %% |\n", r.times("onnxruntime"), ratio(r.fastest(), r.Ms["modelc"]), r.GFLOPS, 100*r.OfPeak)
	}
	return b.String()
}

// Costs returns a table of the costs of processes, or nothing if rows have none.
func Costs(rows []*Row) string {
	if !slices.ContainsFunc(rows, func(r *Row) bool { return r.Process != nil }) {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "| model | New ms | cold start ms | ONNX Runtime | × | resident MB | ONNX Runtime | × | shipped MB | ONNX Runtime |\n|%s\n", strings.Repeat(" --- |", 10))
	mb := func(n int64) float64 { return float64(n) / (1 << 20) }
	for _, r := range rows {
		if p := r.Process; p != nil {
			fmt.Fprintf(&b, "| %s | %.1f | %.1f | %.1f | %s | %.0f | %.0f | %s | %.1f | %.1f |\n", r.Model, p.Load, p.Start, p.OrtStart, ratio(p.Start, p.OrtStart),
				mb(p.Resident), mb(p.OrtResident), ratio(float64(p.Resident), float64(p.OrtResident)), mb(p.Shipped), mb(p.OrtShipped))
		}
	}
	return b.String()
}

// Beside returns a table that shows kinds of machines side by side: for each network of the
// first report modelc's time with a number of threads beside the other engines', and the
// costs of processes on the first machine, if it has them.
func Beside(threads int, reports ...[]*Row) string {
	var b strings.Builder
	b.WriteString("| model |")
	for _, rows := range reports {
		fmt.Fprintf(&b, " %s: ms | × | × the fastest other |", title(rows[0].Tier))
	}
	costs := slices.ContainsFunc(reports[0], func(r *Row) bool { return r.Threads == threads && r.Process != nil })
	columns := 1 + 3*len(reports)
	if costs {
		b.WriteString(" cold start | memory |")
		columns += 2
	}
	fmt.Fprintf(&b, "\n|%s\n", strings.Repeat(" --- |", columns))
	for _, first := range reports[0] {
		if first.Threads != threads {
			continue
		}
		fmt.Fprintf(&b, "| %s |", first.Model)
		for _, rows := range reports {
			r := find(rows, first.Model, threads)
			fmt.Fprintf(&b, " %s | %s | %s |", number(r.Ms["modelc"]), r.times("onnxruntime"), ratio(r.fastest(), r.Ms["modelc"]))
		}
		if costs {
			p := cmp.Or(first.Process, new(Process))
			fmt.Fprintf(&b, " %s | %s |", ratio(p.Start, p.OrtStart), ratio(float64(p.Resident), float64(p.OrtResident)))
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// Source returns a line for each machine, commit and command of rows.
func Source(rows []*Row) string {
	var lines []string
	for _, r := range rows {
		line := fmt.Sprintf("- %s: %s, commit %s, `%s` in `bench/`\n", title(r.Tier), r.Machine, r.Commit, r.Command)
		if !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}

// title returns how the tables call a tier.
func title(tier string) string {
	switch {
	case strings.HasPrefix(tier, "avx512"):
		return "AVX-512"
	case tier == "avx2":
		return "AVX2"
	}
	return tier
}

// find returns the row of a network, or an empty one.
func find(rows []*Row, model string, threads int) *Row {
	for _, r := range rows {
		if r.Model == model && r.Threads == threads {
			return r
		}
	}
	return new(Row)
}

// times returns the time of an engine divided by modelc's.
func (r *Row) times(engine string) string { return ratio(r.Ms[engine], r.Ms["modelc"]) }

// ratio formats a quotient, or a dash if one of its parts is missing.
func ratio(a, b float64) string {
	if a == 0 || b == 0 {
		return "–"
	}
	return fmt.Sprintf("**%.2f**", a/b)
}

// number formats a time with three digits, or as a dash if there is none.
func number(t float64) string {
	switch {
	case t == 0:
		return "–"
	case t < 1:
		return fmt.Sprintf("%.4f", t)
	case t < 10:
		return fmt.Sprintf("%.2f", t)
	case t < 100:
		return fmt.Sprintf("%.1f", t)
	}
	return fmt.Sprintf("%.0f", t)
}
