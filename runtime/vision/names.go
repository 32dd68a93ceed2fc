package vision

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

// OpenNames reads class names from the file at path. See [ReadNames] for the
// formats.
func OpenNames(path string) ([]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	names, err := ReadNames(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return names, nil
}

// Limits of ReadNames. ImageNet has 1000 names in 35 kB.
const (
	maxNameBytes = 64 << 20
	maxNames     = 1 << 20
)

// ReadNames reads the names of classes in the order of the network's output. The
// format is one name per line, or JSON:
//
//	["tench", "goldfish"]
//	{"0": "tench", "1": "goldfish"}
//	{"0": ["n01440764", "tench"], "1": ["n01443537", "goldfish"]}
//
// The last format is that of Keras' imagenet_class_index.json, of which ReadNames
// returns the second string. Classes that are missing in an object have an empty
// name.
func ReadNames(r io.Reader) ([]string, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxNameBytes))
	if err != nil {
		return nil, fmt.Errorf("vision: %w", err)
	}
	switch s := strings.TrimSpace(string(text)); {
	case s == "":
		return nil, errors.New("vision: no class names in the file")
	case s[0] == '[':
		var names []string
		if err := json.Unmarshal(text, &names); err != nil {
			return nil, fmt.Errorf("vision: class names as a JSON list: %w", err)
		}
		return names, nil
	case s[0] == '{':
		return indexedNames(text)
	default:
		lines := strings.Split(strings.TrimRight(string(text), " \t\r\n"), "\n")
		for i := range lines {
			lines[i] = strings.TrimSpace(lines[i])
		}
		return lines, nil
	}
}

// indexedNames reads a JSON object from indices to names.
func indexedNames(text []byte) ([]string, error) {
	var index map[string]json.RawMessage
	if err := json.Unmarshal(text, &index); err != nil {
		return nil, fmt.Errorf("vision: class names as a JSON object: %w", err)
	}
	var names []string
	for key, value := range index {
		i, err := strconv.Atoi(key)
		if err != nil || i < 0 || i >= maxNames {
			return nil, fmt.Errorf("vision: class names as a JSON object: %q is not the index of a class", key)
		}
		if i >= len(names) {
			names = append(names, make([]string, i+1-len(names))...)
		}
		var name string
		var pair []string
		switch {
		case json.Unmarshal(value, &name) == nil:
		case json.Unmarshal(value, &pair) == nil && len(pair) >= 2:
			name = pair[1]
		default:
			return nil, fmt.Errorf("vision: class names as a JSON object: class %d is neither a name nor [id, name]", i)
		}
		names[i] = name
	}
	return names, nil
}
