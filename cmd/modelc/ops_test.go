package main

import "testing"

// docs/ops.md has the text of opsDoc.
func TestOpsDoc(t *testing.T) {
	want, err := opsDoc()
	if err != nil {
		t.Fatal(err)
	}
	samePage(t, "../../docs/ops.md", want)
}
