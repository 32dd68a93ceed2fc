// Package units formats quantities for people.
package units

import "fmt"

// Bytes formats a number of bytes with a binary unit: "512 bytes", "1.5 kB",
// "12 MB".
func Bytes[N int | int64](n N) string {
	switch {
	case n >= 10<<20:
		return fmt.Sprintf("%d MB", (n+1<<19)>>20)
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MB", float64(n)/(1<<20))
	case n >= 1<<10:
		return fmt.Sprintf("%.1f kB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%d bytes", n)
}

// Count formats a number with a decimal prefix and a space before it: "9999",
// "25.6 k", "7.7 G".
func Count[N int | int64](n N) string {
	switch {
	case n >= 1e9:
		return fmt.Sprintf("%.1f G", float64(n)/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%.1f M", float64(n)/1e6)
	case n >= 1e4:
		return fmt.Sprintf("%.1f k", float64(n)/1e3)
	}
	return fmt.Sprint(n)
}

// FLOP formats a number of floating-point operations: "9999 FLOP", "25.6 kFLOP".
func FLOP(n int64) string {
	count := Count(n)
	if n < 1e4 {
		count += " "
	}
	return count + "FLOP"
}
