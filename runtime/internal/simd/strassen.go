package simd

// StrassenSums writes S1 = a21+a22, S2 = S1−a11, S3 = a11−a21 and S4 = a12−S2 of n
// pixels of 16 channels to s, stride floats apart.
func StrassenSums(s []float32, stride int, a11, a12, a21, a22 []float32, n int) {
	if Strassen(&s[0], stride*4, &a11[0], &a12[0], &a21[0], &a22[0], n) {
		return
	}
	for i := range n * 16 {
		s1 := a21[i] + a22[i]
		s2 := s1 - a11[i]
		s[i], s[stride+i], s[2*stride+i], s[3*stride+i] = s1, s2, a11[i]-a21[i], a12[i]-s2
	}
}
