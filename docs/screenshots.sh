#!/usr/bin/env bash
# Makes the pictures of docs/report.md: reports of three networks of the zoo,
# seen by headless Chromium.
set -euo pipefail
cd "$(dirname "$0")/.."
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
go build -o "$tmp/modelc" ./cmd/modelc

# shot NET FRAGMENT WIDTH HEIGHT light|dark FILE
shot() {
	local scheme=1
	[ "$5" = light ] || scheme=0
	chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --user-data-dir="$tmp/profile" --virtual-time-budget=3000 \
		--blink-settings=preferredColorScheme=$scheme --window-size="$3,$4" --screenshot="docs/$6" "file://$tmp/$1.html$2" 2>/dev/null
}

for net in lenet5 resnet50 densenet121; do
	"$tmp/modelc" zoo $net -o "$tmp/$net.onnx"
	"$tmp/modelc" report "$tmp/$net.onnx" --bench -o "$tmp/$net.html"
done
shot lenet5 "" 1280 2480 light report-lenet5.png
shot resnet50 "" 1280 1500 light report-resnet50.png
shot resnet50 "#a20" 1280 1560 light report-resnet50-node.png
shot densenet121 "" 1280 1500 dark report-densenet121.png
shot densenet121 "" 480 1900 light report-densenet121-narrow.png
