package main

import (
	"bytes"
	"encoding/json"
	"io"
	"math"

	"github.com/spf13/cobra"

	"modelc/internal/plaintext"
)

// jsonFlag adds --json to a command.
func jsonFlag(c *cobra.Command, on *bool) {
	c.Flags().BoolVar(on, "json", false, "print JSON")
}

func printJSON(w io.Writer, v any) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return err
	}
	_, err := io.WriteString(w, plaintext.JSON(b.String()))
	return err
}

// finite is a float whose JSON form is null for NaN and infinities, which JSON
// cannot represent.
type finite float64

func (n finite) MarshalJSON() ([]byte, error) {
	if math.IsNaN(float64(n)) || math.IsInf(float64(n), 0) {
		return []byte("null"), nil
	}
	return json.Marshal(float64(n))
}
