package classes

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// A missing, doubled or moved line would shift every name behind it: ids
// ascend, and some well-known classes are where every framework has them.
func TestImageNet(t *testing.T) {
	names := ImageNet()
	if len(names) != 1000 {
		t.Fatalf("%d names", len(names))
	}
	last := ""
	line := regexp.MustCompile(`^\d{8} [A-Za-z0-9_'.-]+$`)
	for i, s := range strings.Split(strings.TrimSuffix(imagenet, "\n"), "\n") {
		if !line.MatchString(s) {
			t.Errorf("line %d is %q", i+1, s)
		}
		if s[:8] <= last {
			t.Errorf("line %d does not ascend: %s", i+1, s)
		}
		last = s[:8]
	}
	for i, want := range map[int]string{0: "tench", 207: "golden_retriever", 285: "Egyptian_cat", 340: "zebra", 463: "bucket", 609: "jeep", 741: "prayer_rug", 915: "yurt", 999: "toilet_tissue"} {
		if names[i] != want {
			t.Errorf("class %d is %s, want %s", i, names[i], want)
		}
	}
	index := map[string]int{}
	doubled := map[string]bool{"crane": true, "maillot": true}
	for i, n := range names {
		if j, ok := index[n]; ok && !doubled[n] {
			t.Errorf("classes %d and %d are both %s", j, i, n)
		}
		index[n] = i
	}
}

// The names are those of Keras' class index.
func TestImageNetAreKeras(t *testing.T) {
	dir := os.Getenv("MODELC_CORPUS")
	if dir == "" {
		t.Skip("set MODELC_CORPUS to the corpus to compare with the class index of Keras")
	}
	text, err := os.ReadFile(filepath.Join(dir, "images", "imagenet_class_index.json"))
	if err != nil {
		t.Fatal(err)
	}
	var index map[string][2]string
	if err := json.Unmarshal(text, &index); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(imagenet, "\n")
	for i, name := range ImageNet() {
		if want := index[strconv.Itoa(i)]; want != [2]string{"n" + lines[i][:8], name} {
			t.Errorf("class %d is %s, Keras has %s", i, lines[i], want)
		}
	}
}
