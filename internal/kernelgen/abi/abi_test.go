package abi

import (
	"go/types"
	"slices"
	"testing"

	"golang.org/x/tools/go/packages"
)

// The offsets that the generators use are those of the fields in package simd, on every
// architecture that has kernels.
func TestOffsets(t *testing.T) {
	pkgs, err := packages.Load(&packages.Config{Mode: packages.NeedTypes | packages.NeedImports | packages.NeedDeps | packages.NeedSyntax | packages.NeedName | packages.NeedTypesInfo,
		BuildFlags: []string{"-tags=purego"}}, "modelc/runtime/internal/simd")
	if err != nil {
		t.Fatal(err)
	}
	if packages.PrintErrors(pkgs) > 0 {
		t.Fatal("package simd has errors")
	}
	scope := pkgs[0].Types.Scope()
	var arches []string
	for _, tier := range Tiers {
		if !slices.Contains(arches, tier.Arch) {
			arches = append(arches, tier.Arch)
		}
	}
	for _, arch := range arches {
		sizes := types.SizesFor("gc", arch)
		for _, s := range Structs {
			o := scope.Lookup(s.Name)
			if o == nil {
				t.Fatalf("package simd has no %s", s.Name)
			}
			st := o.Type().Underlying().(*types.Struct)
			var fields []*types.Var
			for i := range st.NumFields() {
				fields = append(fields, st.Field(i))
			}
			offsets := sizes.Offsetsof(fields)
			for _, f := range s.Fields {
				i := slices.IndexFunc(fields, func(v *types.Var) bool { return v.Name() == f.Name })
				if i < 0 {
					t.Errorf("%s has no field %s", s.Name, f.Name)
				} else if offsets[i] != int64(f.Offset) {
					t.Errorf("%s: %s.%s is at offset %d, the generators assume %d", arch, s.Name, f.Name, offsets[i], f.Offset)
				}
			}
			if size := sizes.Sizeof(st); s.Size != 0 && size != int64(s.Size) {
				t.Errorf("%s: %s has %d bytes, the generators assume %d", arch, s.Name, size, s.Size)
			}
		}
	}
}

// Every kernel of the table exists for some tier of the table, and for no other tier.
func TestTiers(t *testing.T) {
	for _, k := range Kernels {
		for _, tier := range Tiers {
			if k.Has(tier.Suffix) {
				Lookup(k.Name, tier.Suffix)
			}
		}
		if !slices.ContainsFunc(Tiers, func(t Tier) bool { return k.Has(t.Suffix) }) {
			t.Errorf("no tier has %s", k.Name)
		}
	}
}
