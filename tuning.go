package modelc

import "fmt"

// Tuning records, for one model on one machine, how long each algorithm of each
// convolution takes. The command modelc tune measures it and writes it as JSON.
type Tuning struct {
	SHA256  string      `json:"sha256"` // of the model
	Tier    string      `json:"tier"`
	Threads int         `json:"threads"`
	Layers  []TunedConv `json:"layers"`
	// TunedMs and ModelMs are the sums of these layers' times with the fastest
	// algorithm and with the cost model's choice. RestMs is the time of all
	// other layers.
	TunedMs float64 `json:"tuned_ms"`
	ModelMs float64 `json:"model_ms"`
	RestMs  float64 `json:"rest_ms"`
}

// TunedConv is a convolution that several algorithms can compute.
type TunedConv struct {
	Name      string `json:"name"`
	Algorithm string `json:"algorithm"` // the fastest
	Model     string `json:"model"`     // the cost model's choice
	// Ms is the shortest time of each algorithm, in milliseconds. It includes
	// the pool that is fused into the convolution. Estimates is what the cost
	// model expects.
	Ms        map[string]float64 `json:"ms"`
	Estimates map[string]float64 `json:"estimated_ms"`
}

// algorithms returns the fastest algorithm of each layer. It fails unless t was
// measured on the model with this digest.
func (t *Tuning) algorithms(sha256 string) (map[string]string, error) {
	if t.SHA256 != sha256 {
		return nil, fmt.Errorf("the tuning was measured on another model (SHA-256 %.12s…, this one has %.12s…): run modelc tune again", t.SHA256, sha256)
	}
	m := map[string]string{}
	for _, l := range t.Layers {
		m[l.Name] = l.Algorithm
	}
	return m, nil
}
