package keras

import "modelc/ir"

// Layers that act in training alone.
var _ = register(nsLayer, "identity at inference", func() map[string]func(*call) *ir.Value {
	m := map[string]func(*call) *ir.Value{}
	for _, name := range []string{
		"Dropout", "SpatialDropout1D", "SpatialDropout2D", "AlphaDropout", "GaussianDropout", "GaussianNoise", "StochasticDepth",
		"ActivityRegularization", "Identity",
		"RandomFlip", "RandomRotation", "RandomZoom", "RandomTranslation", "RandomContrast", "RandomBrightness", "RandomShear",
		"RandomHue", "RandomSaturation", "RandomSharpness", "RandomColorJitter", "RandomColorDegeneration", "RandomGrayscale",
		"RandomGaussianBlur", "RandomInvert", "RandomPosterization", "RandomPerspective", "RandomElasticTransform", "RandomErasing",
		"AugMix", "RandAugment", "CutMix", "MixUp",
	} {
		m[name] = func(c *call) *ir.Value {
			if c.in.kwargs.get("training") == true {
				c.refuse("it is called with training=True, which makes it random", "call it without")
			}
			return c.x()
		}
	}
	return m
}())
