package runtime

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"reflect"
	"testing"
)

func TestInfo(t *testing.T) {
	p := echo(128)
	p.Model, p.ModelSHA256, p.Version, p.Examples, p.ArenaBytes = "net", "0123", "v1.2.3", 2, 64
	payload := make([]byte, 128)
	sum := sha256.Sum256(payload)
	head := headerOf(len(payload), sum, p.Graph)
	want := Info{Model: "net", ModelSHA256: "0123", Version: "v1.2.3", Tier: Tier(), Examples: 2,
		WeightsSHA256: hex.EncodeToString(sum[:]), WeightsSource: "bytes", WeightsBytes: 128, SessionBytes: 64,
		Inputs: []Tensor{}, Outputs: []Tensor{{"y", "float32", []int{32}}}}
	m, err := BytesModel(p, append(head[:], payload...))
	if err != nil {
		t.Fatal(err)
	}
	s := m.NewSession(Options{})
	defer s.Close()
	for _, got := range []Info{m.Info(), s.Info()} {
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
	}
	m.Info().Outputs[0].Shape[0] = 1 // a copy
	if m.Info().Outputs[0].Len() != 32 {
		t.Error("a caller changed the plan")
	}
	if m, err = EmbeddedModel(p, string(append(head[:], payload...)), sum); err != nil || m.Info().WeightsSource != "embedded" {
		t.Errorf("embedded weights: %v, %+v", err, m.Info())
	}
	if m, err = NewModel(p, payload); err != nil || m.Info().WeightsSource+m.Info().WeightsSHA256 != "" {
		t.Errorf("a model in memory: %v, %+v", err, m.Info())
	}
	for _, i := range []Info{(*Model)(nil).Info(), (*Session)(nil).Info(), new(Session).Info()} {
		if !reflect.DeepEqual(i, Info{}) {
			t.Errorf("no model: %+v", i)
		}
	}
}

// Make makes slices of the types and lengths of all ports.
func TestTensor(t *testing.T) {
	for port, want := range map[string]string{"f32": "[]float32", "f64": "[]float64", "bool": "[]bool", "i8": "[]int8", "i16": "[]int16",
		"i32": "[]int32", "i64": "[]int64", "u8": "[]uint8", "u16": "[]uint16", "u32": "[]uint32", "u64": "[]uint64"} {
		x := tensors([]Port{{Type: port, Shape: []int{2, 3}}})[0]
		if s := x.Make(); fmt.Sprintf("%T", s) != want || reflect.ValueOf(s).Len() != 6 {
			t.Errorf("%s: %T", port, s)
		}
	}
	if x := (Tensor{Type: "complex64"}).Make(); x != nil {
		t.Errorf("an unknown type: %T", x)
	}
}

func TestTake(t *testing.T) {
	var x []float32
	for _, list := range [][]any{nil, {nil}, {[]float32{1}}, {[]float32{1}, []float64{2}}, {[]float32{1}, nil}, {[]float32{1}, 2}} {
		if err := Take(&x, list, 1, 2); !errors.Is(err, ErrTensor) || x != nil {
			t.Errorf("%v: %v, %v", list, x, err)
		}
	}
	if err := Take(&x, []any{nil, []float32{3}}, 1, 2); err != nil || len(x) != 1 {
		t.Errorf("%v, %v", x, err)
	}
}

func TestCPU(t *testing.T) {
	if err := checkCPU(binary.LittleEndian); err != nil {
		t.Error(err)
	}
	if err := checkCPU(binary.BigEndian); !errors.Is(err, ErrCPU) {
		t.Error(err)
	}
}
