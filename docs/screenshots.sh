#!/usr/bin/env bash
# Makes the pictures of docs/report.md: reports of three networks of the zoo,
# seen by headless Chromium. Needs chromium, and pngquant to make them small.
set -euo pipefail
cd "$(dirname "$0")/.."
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
go build -o "$tmp/modelc" ./cmd/modelc

# shot PAGE FRAGMENT WIDTH HEIGHT light|dark FILE
shot() {
	local scheme=1
	[ "$5" = dark ] && scheme=0
	chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --user-data-dir="$tmp/profile" --virtual-time-budget=3000 \
		--blink-settings=preferredColorScheme=$scheme --window-size="$3,$4" --screenshot="$tmp/shot.png" "file://$tmp/$1.html$2" 2>/dev/null
	if command -v pngquant >/dev/null; then
		pngquant --force --speed 1 --output "docs/$6" 64 "$tmp/shot.png"
	else
		cp "$tmp/shot.png" "docs/$6"
	fi
}

for net in lenet5 resnet50 densenet121; do
	"$tmp/modelc" zoo $net -o "$tmp/$net.onnx"
	"$tmp/modelc" report "$tmp/$net.onnx" --bench -o "$tmp/$net.html"
done
shot lenet5 "" 1280 2260 light report-lenet5.png
shot resnet50 "" 1280 1600 light report-resnet50.png
shot densenet121 "" 1280 1600 dark report-densenet121.png
shot densenet121 "" 480 1900 light report-densenet121-narrow.png
