#!/bin/sh
# Exports networks at full size with both exporters of PyTorch, as
# MODELC_TORCH=DIR go test ./cmd/modelc -run TestTorch reads them:
#
#     torch.sh SCRIPT DIR [NAME …]
#
# SCRIPT is torch_models.py, which lies beside the corpus and says what it
# needs (torch, torchvision, onnx, onnxscript, onnxruntime, pillow). PYTHON
# names the interpreter. Each NAME (default: all) gets folders DIR/NAME-torchscript
# and DIR/NAME-dynamo with model.onnx, input_0.npy, output_0.npy …; those that
# are there already stay. All take 8 GB and half an hour.
set -eu
[ $# -ge 2 ] || { sed -n '2,/^set/s/^# \{0,1\}//p' "$0"; exit 2; }
script=$1 dir=$2
shift 2
[ $# -gt 0 ] || set -- \
	lenet5 srcnn espcn dncnn unet ssd tiny-yolo fcn_resnet50 deeplabv3_mobilenet_v3_large \
	alexnet vgg11 vgg16 vgg16_bn vgg19 squeezenet1_1 googlenet inception_v3 \
	resnet18 resnet34 resnet50 resnet101 resnet152 preact-resnet50 resnext50_32x4d wide_resnet50_2 \
	densenet121 densenet161 densenet169 densenet201 \
	mobilenet_v2 mobilenet_v3_large shufflenet_v2_x1_0 mnasnet1_0 efficientnet_b0 regnet_y_400mf convnext_tiny
for name; do
	for exporter in torchscript dynamo; do
		to=$dir/$name-$exporter
		[ -e "$to/output_0.npy" ] || "${PYTHON:-python3}" "$script" "$name" --exporter "$exporter" --out "$to"
	done
done
