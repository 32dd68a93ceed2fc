#!/usr/bin/env bash
# Makes the pictures of docs/report.md: reports of networks of the zoo and of a ResNet that
# Keras wrote, seen by headless Chromium in a wide and a narrow window, in dark, and on paper.
# It needs pdftoppm (poppler-utils) and ImageMagick.
set -euo pipefail
cd "$(dirname "$0")/.."
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
go build -o "$tmp/modelc" ./cmd/modelc

# small FILE reduces a picture to few colours.
small() { mogrify -strip -dither None -colors 250 "PNG8:$1"; }

browse() { chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --user-data-dir="$tmp/profile" --virtual-time-budget=3000 "$@" 2>/dev/null; }

# shot PAGE WIDTH HEIGHT SCHEME FILE, where the scheme is 1 for light and 0 for dark
shot() {
	browse --blink-settings=preferredColorScheme="$4" --window-size="$2,$3" --screenshot="docs/$5" "file://$tmp/$1"
	small "docs/$5"
}

# paper NET shows the first three pages
paper() {
	local to="docs/pictures/report-$1-print.png"
	browse --no-pdf-header-footer --print-to-pdf="$tmp/$1.pdf" "file://$tmp/$1.html"
	pdftoppm -r 64 -l 3 -png "$tmp/$1.pdf" "$tmp/$1-page"
	montage "$tmp/$1"-page-*.png -tile 3x -geometry +6+6 -background '#888' "$to"
	small "$to"
}

cp testdata/keras/resnet_v1/model.keras "$tmp/keras-resnet.keras"
for net in lenet5 vgg16 densenet121; do
	"$tmp/modelc" zoo $net -o "$tmp/$net.onnx"
done
for model in "$tmp"/*.onnx "$tmp"/*.keras; do
	net=$(basename "${model%.*}")
	"$tmp/modelc" report "$model" --verify=false --bench --runs 5 -o "$tmp/$net.html"
	shot "$net.html" 1280 1180 1 "pictures/report-$net-1280.png"
	shot "$net.html" 1280 1180 0 "pictures/report-$net-dark.png"
	shot "$net.html" 420 1300 1 "pictures/report-$net-420.png"
	paper "$net"
done

# A node of an optimised graph.
"$tmp/modelc" zoo resnet50 -o "$tmp/resnet50.onnx"
"$tmp/modelc" report "$tmp/resnet50.onnx" --bench --runs 5 -o "$tmp/resnet50.html"
shot "resnet50.html#a20" 1280 1400 1 report-resnet50-node.png
mogrify -chop 0x425 PNG8:docs/report-resnet50-node.png # what the page scrolled away
