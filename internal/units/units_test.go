package units

import "testing"

func TestBytes(t *testing.T) {
	for n, want := range map[int]string{0: "0 bytes", 1023: "1023 bytes", 1 << 10: "1.0 kB", 1536: "1.5 kB", 1 << 20: "1.0 MB", 10 << 20: "10 MB", 1 << 30: "1024 MB"} {
		if got := Bytes(n); got != want {
			t.Errorf("Bytes(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestCount(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 9999: "9999", 10000: "10.0 k", 25_557_032: "25.6 M", 7_700_000_000: "7.7 G"} {
		if got := Count(n); got != want {
			t.Errorf("Count(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestFLOP(t *testing.T) {
	for n, want := range map[int64]string{1: "1 FLOP", 9999: "9999 FLOP", 25600: "25.6 kFLOP", 7.7e9: "7.7 GFLOP"} {
		if got := FLOP(n); got != want {
			t.Errorf("FLOP(%d) = %q, want %q", n, got, want)
		}
	}
}
