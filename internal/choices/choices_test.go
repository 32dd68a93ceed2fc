package choices

import "testing"

// A byte determines one decision, for any number of choices, and the sequence does
// not end with the bytes.
func TestNew(t *testing.T) {
	for _, n := range []int{2, 3, 8, 10, 100} {
		for c := range 256 {
			r := New([]byte{byte(c), 7})
			want := c * n >> 8
			if n&(n-1) == 0 {
				want = c % n
			}
			if got := r.IntN(n); got != want && got != want+1 { // the bits behind the byte decide
				t.Errorf("byte %d of %d choices: %d, want %d", c, n, got, want)
			}
			second := r.IntN(n)
			if other := New([]byte{byte(c + 1), 7}); other.IntN(n) >= 0 && other.IntN(n) != second {
				t.Errorf("the first byte changes the second of %d choices", n)
			}
		}
	}
	r, seen := New(nil), map[int]bool{}
	for range 1000 {
		seen[r.IntN(10)] = true
	}
	if len(seen) != 10 {
		t.Errorf("%d of 10 decisions behind the end", len(seen))
	}
}
