package team

// Split returns n/most rounded up: the minimum number of pieces into which n things
// are cut if no piece has more than most.
func Split(n, most int) (pieces int) { return (n + most - 1) / most }

// Cut returns the start of piece i when n things are cut into pieces of nearly
// equal size.
func Cut(n, pieces, i int) int { return n * i / pieces }
