package report

import "strings"

// group is a block of a network: nodes in a row whose names start alike.
type group struct {
	name  string
	nodes []int
}

// groupsOf returns the blocks that the names of nodes tell, in their order: "layer1.0.conv1"
// and "layer1.0.bn1" are of block "layer1". "" is no name. It returns nil if the names tell
// fewer than two blocks.
func groupsOf(names []string) []group {
	var words [][]string
	var at []int
	for i, name := range names {
		if list := split(name); len(list) > 0 {
			words, at = append(words, list), append(at, i)
		}
	}
	groups := divide(words, at, 0)
	if len(groups) < 2 {
		return nil
	}
	return groups
}

// divide returns the blocks of nodes whose names have the first depth words in common. A block
// with most of the nodes is divided by the next word. Words that come again after others, such
// as the names of layer classes, tell no blocks.
func divide(words [][]string, at []int, depth int) []group {
	type run struct{ from, to int }
	var runs []run
	count := map[string]int{}
	word := func(i int) string {
		if depth < len(words[i]) {
			return words[i][depth]
		}
		return ""
	}
	for i := range words {
		if n := len(runs); n > 0 && word(i) == word(runs[n-1].from) {
			runs[n-1].to = i + 1
			continue
		}
		runs = append(runs, run{i, i + 1})
		count[word(i)]++
	}
	var list []group
	for _, r := range runs {
		w := word(r.from)
		switch n := r.to - r.from; {
		case w == "" || n < 3 || count[w] > 1 && 2*n <= len(words):
			continue
		case 2*n > len(words):
			if inner := divide(words[r.from:r.to], at[r.from:r.to], depth+1); len(inner) > 1 {
				list = append(list, inner...)
				continue
			}
		}
		list = append(list, group{strings.Join(words[r.from][:depth+1], "."), at[r.from:r.to]})
	}
	return list
}

// split divides a name at its separators, and after the number that ends a word:
// "denseblock1.denselayer2.conv1", "conv2_block1_1_conv", "/features/features.0/Conv".
func split(name string) []string {
	words := strings.FieldsFunc(name, func(r rune) bool { return strings.ContainsRune("./_:", r) })
	// A number belongs to the word before it: block_1_expand.
	var list []string
	for _, w := range words {
		if n := len(list); n > 0 && strings.Trim(w, "0123456789") == "" && strings.Trim(list[n-1], "0123456789") == list[n-1] {
			list[n-1] += "_" + w
			continue
		}
		list = append(list, w)
	}
	return list
}
