package ir

import (
	"crypto/sha256"
	"encoding"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// The text form has one statement per line. # starts a comment.
//
//	graph "name"
//	input  %x : f32[1,3,8,8]
//	const  %w : f32[4,3,3,3] = seed=3
//	const  %b : f32[4] = {0, 1, 2.5, -1}
//	%y : f32[1,4,8,8] = Conv(%x, %w, %b) strides=[1,1] pads=[1,1,1,1] groups=1 # "node name"
//	output "probabilities" %y
//
// Absent optional operands are written as _. Attributes with the zero value of their type
// are omitted. Names with characters other than those of isNameRune are quoted: %"a b".

// maxSeeded is the maximum number of elements that Parse draws for a constant. A line of
// text must not take seconds.
const maxSeeded = 1 << 24

// smallConst is the maximum number of elements of a constant that is printed in
// full.
const smallConst = 64

// Format returns the text form of g.
func Format(g *Graph) string {
	var b strings.Builder
	fmt.Fprintf(&b, "graph %q\n", g.Name)
	for _, v := range g.Inputs {
		fmt.Fprintf(&b, "input %s : %s\n", ref(v), v.Type)
	}
	for _, v := range g.Constants {
		fmt.Fprintf(&b, "const %s : %s = %s\n", ref(v), v.Type, formatConst(v.Const))
	}
	for _, n := range g.Nodes {
		b.WriteString(FormatNode(n))
		b.WriteByte('\n')
	}
	for _, o := range g.Outputs {
		fmt.Fprintf(&b, "output %q %s\n", o.Name, ref(o.Value))
	}
	return b.String()
}

// FormatNode returns the line of n in the text form, without a newline.
func FormatNode(n *Node) string {
	var b strings.Builder
	for i, v := range n.Out {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%s : %s", ref(v), v.Type)
	}
	fmt.Fprintf(&b, " = %s(", n.Op.Name())
	for i, v := range n.In {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(ref(v))
	}
	b.WriteByte(')')
	op := reflect.ValueOf(n.Op)
	for i := range op.NumField() {
		f := op.Field(i)
		if f.IsZero() {
			continue
		}
		fmt.Fprintf(&b, " %s=%s", attrName(op.Type().Field(i).Name), formatAttr(f))
	}
	if n.Name != "" && (len(n.Out) == 0 || n.Name != n.Out[0].Name) {
		fmt.Fprintf(&b, " # %q", n.Name)
	}
	return b.String()
}

func ref(v *Value) string {
	if v == nil {
		return "_"
	}
	for _, r := range v.Name {
		if !isNameRune(r) {
			return "%" + strconv.Quote(v.Name)
		}
	}
	return "%" + v.Name
}

func isNameRune(r rune) bool {
	return r < 128 && (unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("_./:-", r))
}

// attrName returns the name of an attribute in the text form: outputPads for OutputPads.
func attrName(field string) string { return strings.ToLower(field[:1]) + field[1:] }

func formatAttr(f reflect.Value) string {
	if m, ok := f.Interface().(encoding.TextMarshaler); ok {
		b, err := m.MarshalText()
		if err != nil {
			return err.Error()
		}
		return string(b)
	}
	switch f.Kind() {
	case reflect.Slice:
		s := make([]string, f.Len())
		for i := range s {
			s[i] = formatAttr(f.Index(i))
		}
		return "[" + strings.Join(s, ",") + "]"
	case reflect.Float64:
		return formatFloat(f.Float(), 64)
	case reflect.Bool, reflect.Int:
		return fmt.Sprint(f.Interface())
	case reflect.String:
		return strconv.Quote(f.String())
	}
	panic("ir: attribute of type " + f.Type().String())
}

func formatFloat(f float64, bits int) string { return strconv.FormatFloat(f, 'g', -1, bits) }

func formatConst(t *Tensor) string {
	if t.origin != "" {
		return t.origin
	}
	n := t.Shape.Len()
	if n > smallConst {
		sum := sha256.Sum256(t.Bytes())
		return "sha256=" + hex.EncodeToString(sum[:8])
	}
	var s []string
	switch {
	case t.DType == Bool:
		for _, v := range t.Int64s() {
			s = append(s, strconv.FormatBool(v != 0))
		}
	case t.DType.IsFloat():
		bits := 64
		if t.DType != Float64 {
			bits = 32
		}
		for _, v := range t.Float64s() {
			s = append(s, formatFloat(v, bits))
		}
	case t.DType == Uint64:
		for _, v := range Elements[uint64](t) {
			s = append(s, strconv.FormatUint(v, 10))
		}
	default:
		for _, v := range t.Int64s() {
			s = append(s, strconv.FormatInt(v, 10))
		}
	}
	return "{" + strings.Join(s, ", ") + "}"
}

// Seeded returns a tensor of pseudo-random elements that depend only on the type and the
// seed. Floats have the standard normal distribution. Integers are between −8 and 7.
func Seeded(t Type, seed uint64) *Tensor {
	r := rand.New(rand.NewPCG(seed, 0x6d6f64656c63))
	v := make([]float64, t.Shape.Len())
	for i := range v {
		if t.DType.IsFloat() {
			v[i] = float64(float32(r.NormFloat64()))
		} else if t.DType == Bool {
			v[i] = float64(r.IntN(2))
		} else {
			v[i] = float64(r.IntN(16) - 8)
		}
	}
	return FromFloat64s(t, v)
}

// Parse reads the text form. The elements of a constant that is given by a hash are derived
// from the hash, so that [Format] returns the same text. Errors name the line.
func Parse(text string) (*Graph, error) {
	p := &parser{values: map[string]*Value{}, g: NewGraph("")}
	for i, line := range strings.Split(text, "\n") {
		p.s = strings.TrimSpace(line)
		if p.s == "" || strings.HasPrefix(p.s, "#") {
			continue
		}
		if err := p.statement(); err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
	}
	return p.g, nil
}

type parser struct {
	s      string // the rest of the line
	g      *Graph
	values map[string]*Value
}

func (p *parser) skip() { p.s = strings.TrimLeft(p.s, " \t") }

// take consumes lit and reports whether it was there.
func (p *parser) take(lit string) bool {
	p.skip()
	if !strings.HasPrefix(p.s, lit) {
		return false
	}
	p.s = p.s[len(lit):]
	return true
}

func (p *parser) expect(lit string) error {
	if !p.take(lit) {
		return fmt.Errorf("want %q at %q", lit, p.s)
	}
	return nil
}

func (p *parser) word() string {
	p.skip()
	i := strings.IndexFunc(p.s, func(r rune) bool { return !isNameRune(r) })
	if i < 0 {
		i = len(p.s)
	}
	w := p.s[:i]
	p.s = p.s[i:]
	return w
}

func (p *parser) quoted() (string, error) {
	p.skip()
	q, err := strconv.QuotedPrefix(p.s)
	if err != nil {
		return "", fmt.Errorf("want a quoted string at %q", p.s)
	}
	p.s = p.s[len(q):]
	return strconv.Unquote(q)
}

// name reads %name or %"name".
func (p *parser) name() (string, error) {
	if err := p.expect("%"); err != nil {
		return "", err
	}
	if strings.HasPrefix(p.s, `"`) {
		return p.quoted()
	}
	// A colon belongs to a name only if more of the name follows.
	w := p.word()
	if trimmed := strings.TrimRight(w, ":"); trimmed != w {
		p.s = w[len(trimmed):] + p.s
		w = trimmed
	}
	if w == "" {
		return "", fmt.Errorf("want a name at %q", p.s)
	}
	return w, nil
}

func (p *parser) typ() (Type, error) {
	if err := p.expect(":"); err != nil {
		return Type{}, err
	}
	d, err := ParseDType(p.word())
	if err != nil {
		return Type{}, err
	}
	body, err := p.bracket()
	if err != nil {
		return Type{}, err
	}
	t := Type{DType: d, Shape: Shape{}}
	for _, f := range splitList(body) {
		n, err := strconv.Atoi(f)
		if err != nil || n < 0 {
			return Type{}, fmt.Errorf("extent %q", f)
		}
		t.Shape = append(t.Shape, n)
	}
	return t, t.Shape.Check()
}

// bracket reads […] and returns the text inside.
func (p *parser) bracket() (string, error) {
	if err := p.expect("["); err != nil {
		return "", err
	}
	body, rest, ok := strings.Cut(p.s, "]")
	if !ok {
		return "", errors.New("missing ]")
	}
	p.s = rest
	return body, nil
}

func splitList(s string) []string {
	if strings.TrimSpace(s) == "" {
		return nil
	}
	f := strings.Split(s, ",")
	for i := range f {
		f[i] = strings.TrimSpace(f[i])
	}
	return f
}

func (p *parser) define(v *Value, name string) error {
	if p.values[name] != nil {
		return fmt.Errorf("%%%s is defined twice", name)
	}
	p.values[name] = v
	return nil
}

func (p *parser) statement() error {
	switch {
	case p.take("graph "):
		name, err := p.quoted()
		p.g.Name = name
		return err
	case p.take("input "):
		name, err := p.name()
		if err != nil {
			return err
		}
		t, err := p.typ()
		if err != nil {
			return err
		}
		return p.define(p.g.AddInput(name, t), name)
	case p.take("const "):
		return p.constant()
	case p.take("output "):
		name, err := p.quoted()
		if err != nil {
			return err
		}
		v, err := p.operand()
		if err != nil {
			return err
		}
		if v == nil {
			return fmt.Errorf("output %q has no value", name)
		}
		p.g.AddOutput(name, v)
		return nil
	}
	return p.node()
}

func (p *parser) constant() error {
	name, err := p.name()
	if err != nil {
		return err
	}
	t, err := p.typ()
	if err != nil {
		return err
	}
	if err := p.expect("="); err != nil {
		return err
	}
	p.skip()
	c, err := parseConst(t, p.s)
	if err != nil {
		return fmt.Errorf("constant %%%s: %w", name, err)
	}
	return p.define(p.g.AddConst(name, c), name)
}

func parseConst(t Type, s string) (*Tensor, error) {
	if !strings.HasPrefix(s, "{") && t.Shape.Len() > maxSeeded {
		return nil, fmt.Errorf("%s has more than %d elements to draw", t, maxSeeded)
	}
	if seed, ok := strings.CutPrefix(s, "seed="); ok {
		n, err := strconv.ParseUint(seed, 10, 64)
		if err != nil {
			return nil, err
		}
		c := Seeded(t, n)
		c.origin = s
		return c, nil
	}
	if h, ok := strings.CutPrefix(s, "sha256="); ok {
		n, err := strconv.ParseUint(h, 16, 64)
		if err != nil {
			return nil, err
		}
		c := Seeded(t, n)
		c.origin = s
		return c, nil
	}
	body, ok := strings.CutPrefix(s, "{")
	body, ok2 := strings.CutSuffix(body, "}")
	if !ok || !ok2 {
		return nil, fmt.Errorf("want {…}, seed=N or sha256=H, got %q", s)
	}
	fields := splitList(body)
	if len(fields) != t.Shape.Len() {
		return nil, fmt.Errorf("%s with %d elements", t, len(fields))
	}
	switch {
	case t.DType == Bool:
		v := make([]bool, len(fields))
		for i, f := range fields {
			v[i] = f == "true"
		}
		return TensorOf(t.Shape, v...), nil
	case t.DType.IsFloat():
		v := make([]float64, len(fields))
		for i, f := range fields {
			x, err := strconv.ParseFloat(f, 64)
			if err != nil {
				return nil, err
			}
			v[i] = x
		}
		return FromFloat64s(t, v), nil
	case t.DType == Uint64:
		v := make([]uint64, len(fields))
		for i, f := range fields {
			x, err := strconv.ParseUint(f, 10, 64)
			if err != nil {
				return nil, err
			}
			v[i] = x
		}
		return TensorOf(t.Shape, v...), nil
	}
	v := make([]int64, len(fields))
	for i, f := range fields {
		x, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return nil, err
		}
		v[i] = x
	}
	return FromInt64s(t, v), nil
}

func (p *parser) operand() (*Value, error) {
	if p.take("_") {
		return nil, nil
	}
	name, err := p.name()
	if err != nil {
		return nil, err
	}
	v := p.values[name]
	if v == nil {
		return nil, fmt.Errorf("%%%s is not defined", name)
	}
	return v, nil
}

func (p *parser) node() error {
	var outs []string
	var types []Type
	for {
		name, err := p.name()
		if err != nil {
			return err
		}
		outs = append(outs, name)
		p.skip()
		t := Type{}
		if strings.HasPrefix(p.s, ":") {
			if t, err = p.typ(); err != nil {
				return err
			}
		}
		types = append(types, t)
		if !p.take(",") {
			break
		}
	}
	if err := p.expect("="); err != nil {
		return err
	}
	opName := p.word()
	info := byName[opName]
	if info == nil {
		return fmt.Errorf("unknown op %q", opName)
	}
	if err := p.expect("("); err != nil {
		return err
	}
	var in []*Value
	for !p.take(")") {
		if len(in) > 0 {
			if err := p.expect(","); err != nil {
				return err
			}
		}
		v, err := p.operand()
		if err != nil {
			return err
		}
		in = append(in, v)
	}
	op := reflect.New(reflect.TypeOf(info.Op)).Elem()
	for {
		p.skip()
		if p.s == "" || strings.HasPrefix(p.s, "#") {
			break
		}
		if err := p.attr(op); err != nil {
			return fmt.Errorf("%s: %w", opName, err)
		}
	}
	name := outs[0]
	if p.take("#") {
		if q, err := p.quoted(); err == nil {
			name = q
		}
	}
	n, err := p.g.Append(name, op.Interface().(Op), in...)
	if err != nil {
		return err
	}
	if len(outs) != len(n.Out) {
		return fmt.Errorf("%s has %d results, not %d", opName, len(n.Out), len(outs))
	}
	for i, v := range n.Out {
		p.g.Rename(v, outs[i])
		if types[i].Present() && !types[i].Equal(v.Type) {
			return fmt.Errorf("%%%s is written as %s but is %s", outs[i], types[i], v.Type)
		}
		if err := p.define(v, outs[i]); err != nil {
			return err
		}
	}
	return nil
}

// attr reads one name=value into the field of op.
func (p *parser) attr(op reflect.Value) error {
	name := p.word()
	if err := p.expect("="); err != nil {
		return err
	}
	var f reflect.Value
	for i := range op.NumField() {
		if attrName(op.Type().Field(i).Name) == name {
			f = op.Field(i)
		}
	}
	if !f.IsValid() {
		return fmt.Errorf("no attribute %q", name)
	}
	if f.Kind() == reflect.Slice {
		body, err := p.bracket()
		if err != nil {
			return err
		}
		for _, s := range splitList(body) {
			e := reflect.New(f.Type().Elem()).Elem()
			if err := setAttr(e, s); err != nil {
				return fmt.Errorf("attribute %s: %w", name, err)
			}
			f.Set(reflect.Append(f, e))
		}
		if f.IsNil() {
			f.Set(reflect.MakeSlice(f.Type(), 0, 0))
		}
		return nil
	}
	// A value ends at white space outside parentheses.
	depth := 0
	end := strings.IndexFunc(p.s, func(r rune) bool {
		depth += strings.Count("(", string(r)) - strings.Count(")", string(r))
		return depth == 0 && unicode.IsSpace(r)
	})
	if end < 0 {
		end = len(p.s)
	}
	s := p.s[:end]
	p.s = p.s[end:]
	if err := setAttr(f, s); err != nil {
		return fmt.Errorf("attribute %s: %w", name, err)
	}
	return nil
}

func setAttr(f reflect.Value, s string) error {
	if u, ok := f.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return u.UnmarshalText([]byte(s))
	}
	switch f.Kind() {
	case reflect.Int:
		n, err := strconv.Atoi(s)
		f.SetInt(int64(n))
		return err
	case reflect.Float64:
		x, err := strconv.ParseFloat(s, 64)
		f.SetFloat(x)
		return err
	case reflect.Bool:
		b, err := strconv.ParseBool(s)
		f.SetBool(b)
		return err
	case reflect.String:
		u, err := strconv.Unquote(s)
		f.SetString(u)
		return err
	}
	return fmt.Errorf("cannot read a %s", f.Type())
}

// SameBits reports whether two tensors have equal types and identical bytes.
func SameBits(a, b *Tensor) bool {
	return a.Type.Equal(b.Type) && slices.Equal(a.Bytes(), b.Bytes())
}

// MaxAbs returns the largest magnitude of the elements of t. It ignores NaN, and returns 0
// if there are no other elements.
func MaxAbs(t *Tensor) float64 {
	m := 0.0
	for _, v := range t.Float64s() {
		if a := math.Abs(v); a > m {
			m = a
		}
	}
	return m
}
