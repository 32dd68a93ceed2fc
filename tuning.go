package modelc

import (
	"fmt"

	"modelc/internal/plaintext"
)

// Tuning has the times of the algorithms of each convolution, for one model on one
// machine. The command modelc tune measures it and writes it as JSON.
type Tuning struct {
	SHA256  string      `json:"sha256"`  // digest of the model file in hexadecimal
	Tier    string      `json:"tier"`    // SIMD tier
	Threads int         `json:"threads"` // number of threads per run
	Layers  []TunedConv `json:"layers"`
	// TunedMs is the sum of the times of Layers, in milliseconds, with the fastest
	// algorithms. ModelMs is the sum with the cost model's choices. RestMs is the
	// sum of the times of all other layers.
	TunedMs float64 `json:"tuned_ms"`
	ModelMs float64 `json:"model_ms"`
	RestMs  float64 `json:"rest_ms"`
}

// TunedConv is a convolution that several algorithms can compute.
type TunedConv struct {
	Name      string `json:"name"`      // name of the layer
	Algorithm string `json:"algorithm"` // fastest algorithm
	Model     string `json:"model"`     // the cost model's choice
	// Ms has the shortest time of each algorithm, in milliseconds, including a pool
	// that is fused into the convolution. Estimates has the times that the cost
	// model estimates.
	Ms        map[string]float64 `json:"ms"`
	Estimates map[string]float64 `json:"estimated_ms"`
}

// algorithms returns the fastest algorithm of each layer. It returns an error
// unless t was measured on the model with the given digest.
func (t *Tuning) algorithms(sha256 string) (map[string]string, error) {
	if t.SHA256 != sha256 {
		return nil, fmt.Errorf("the tuning was measured on another model (SHA-256 %.12s…, this one has %.12s…): run modelc tune again", plaintext.Name(t.SHA256), sha256)
	}
	m := map[string]string{}
	for _, l := range t.Layers {
		m[l.Name] = l.Algorithm
	}
	return m, nil
}
