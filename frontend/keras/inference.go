package keras

import "modelc/ir"

// Layers that have an effect only in training.
var _ = register(nsLayer, "identity at inference", func() map[string]func(*call) *ir.Value {
	m := map[string]func(*call) *ir.Value{}
	for _, name := range []string{
		"Dropout", "SpatialDropout1D", "SpatialDropout2D", "AlphaDropout", "GaussianDropout", "GaussianNoise", "StochasticDepth",
		"ActivityRegularization", "Identity", "AddLoss", "AddMetric", "RandomHeight", "RandomWidth",
		"RandomFlip", "RandomRotation", "RandomZoom", "RandomTranslation", "RandomContrast", "RandomBrightness", "RandomShear",
		"RandomHue", "RandomSaturation", "RandomSharpness", "RandomColorJitter", "RandomColorDegeneration", "RandomGrayscale",
		"RandomGaussianBlur", "RandomInvert", "RandomPosterization", "RandomPerspective", "RandomElasticTransform", "RandomErasing",
		"Solarization",
		"AugMix", "RandAugment", "CutMix", "MixUp",
	} {
		m[name] = func(c *call) *ir.Value {
			if c.training() {
				c.refuse("it is called with training=True, which makes it random", "call it without training=True")
			}
			return c.x()
		}
	}
	return m
}())

// training reports whether the call makes the layer behave as in training. Keras
// 3 records training=True for layers that are active by default, but predict
// overrides it.
func (c *call) training() bool { return c.im.major < 3 && c.in.kwargs.get("training") == true }
