package pack

// Gates rounds the number of rows of each gate of a recurrent layer, which is hidden, up to a
// multiple of 16. w has rows of k values, the rows of all gates one after another. The rows
// that it adds are zero.
func Gates(w []float32, hidden, k int) []float32 {
	gates, padded := len(w)/(hidden*k), up(hidden, 16)
	out := make([]float32, gates*padded*k)
	for g := range gates {
		copy(out[g*padded*k:], w[g*hidden*k:(g+1)*hidden*k])
	}
	return out
}

// Recurrence packs the weights r [dirs][gates·hidden][hidden] of states: for each direction a
// dense layer, with gates as in [Gates].
func Recurrence(r []float32, dirs, hidden int) []float32 {
	var out []float32
	for d := range dirs {
		n := len(r) / dirs
		w := Gates(r[d*n:(d+1)*n], hidden, hidden)
		out = append(out, Dense(w, hidden, len(w)/hidden, true, nil)...)
	}
	return out
}

// GateBias packs the biases b [dirs][2][gates·hidden] of products of inputs and states. It
// returns their sum for each gate as in [Gates]. If apart is set, the bias of states of the
// last gate is not in the sum. It is returned for each direction in state, padded like a gate.
func GateBias(b []float32, dirs, hidden int, apart bool) (sum, state []float32) {
	n := len(b) / (2 * dirs)
	all := make([]float32, 0, dirs*n)
	for d := range dirs {
		in, of := b[2*d*n:][:n], b[(2*d+1)*n:][:n]
		for i, v := range in {
			if !apart || i < n-hidden {
				v += of[i]
			}
			all = append(all, v)
		}
		state = append(state, Gates(of[n-hidden:], hidden, 1)...)
	}
	return Gates(all, hidden, 1), state
}
