//go:build linux

package mem

import "testing"

func TestHugeFree(t *testing.T) {
	for _, c := range []struct {
		text string
		want int
	}{
		{"", 0},
		{"Node 0, zone      DMA      0      0      0      0      0      0      0      0      1      1      3 \n" +
			"Node 0, zone   Normal  83281  46486  25762  27114  10525   4921   3326   1701   1187   1350    677 \n", 1 + 6 + 1350 + 1354},
		{"Node 1, zone Normal 5 4 3 2 1 0 0 0 9\n", 0}, // no piece has 2 MB
		{"Node 0, zone Normal 1 1 1 1 1 1 1 1 1 many\n", 0},
	} {
		if got := hugeFree([]byte(c.text)); got != c.want {
			t.Errorf("%q: %d, want %d", c.text, got, c.want)
		}
	}
}

// Large buffers are zero and can be written from end to end, whatever the size of
// their pages.
func TestHugePages(t *testing.T) {
	for _, n := range []int{1, 1 << 20, 2 << 20, 4<<20 + 1, 9<<20 + 4097} {
		b := Aligned(n)
		for i := range b {
			if b[i] != 0 {
				t.Fatalf("byte %d of %d is %d", i, n, b[i])
			}
			b[i] = 1
		}
	}
}
