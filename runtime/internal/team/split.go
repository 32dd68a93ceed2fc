package team

// Split returns the minimum number of pieces of at most most things that n
// things fall into.
func Split(n, most int) (pieces int) { return (n + most - 1) / most }

// Cut returns the start of piece i when n things are cut into pieces of nearly
// equal size.
func Cut(n, pieces, i int) int { return n * i / pieces }
