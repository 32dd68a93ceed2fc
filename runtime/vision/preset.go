package vision

import "fmt"

// Preset returns the preprocessing with the given name for tensors of width ×
// height pixels. The first three names are the modes of preprocess_input in
// keras.applications:
//
//	caffe   BGR, minus the mean of ImageNet: VGG, ResNet
//	tf      −1 to 1: MobileNet, Inception, Xception, ResNet v2, NASNet
//	torch   0 to 1, then mean 0 and deviation 1 over ImageNet: DenseNet, torchvision, the ONNX zoo
//	unit    0 to 1
//	none    0 to 255: EfficientNet, ConvNeXt, which contain their normalisation
//
// The result has three channels and the values NCHW, Stretch and [Bilinear] of
// Layout, Fit and Filter. Callers may change its fields.
func Preset(name string, width, height int) (Preprocess, error) {
	p := Preprocess{Width: width, Height: height}
	switch name {
	case "caffe":
		p.BGR = true
		p.Mean = [3]float64{103.939, 116.779, 123.68}
	case "tf":
		p.Scale = 1 / 127.5
		p.Mean = [3]float64{1, 1, 1}
	case "torch":
		p.Scale = 1. / 255
		p.Mean = [3]float64{0.485, 0.456, 0.406}
		p.Std = [3]float64{0.229, 0.224, 0.225}
	case "unit":
		p.Scale = 1. / 255
	case "none":
	default:
		return Preprocess{}, fmt.Errorf("vision: unknown preprocessing %q; want caffe, tf, torch, unit or none", name)
	}
	return p, nil
}
