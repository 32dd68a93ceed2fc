//go:build !js

package main

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
)

var (
	long        = flag.Bool("long", false, "build the site and use it in headless Chromium")
	screenshots = flag.String("screenshots", "", "write screenshots to this `folder`")
)

// strokes are digits as people draw them, as points on a square of side 100.
var strokes = map[string][]point{
	"0": {{50, 15}, {34, 25}, {29, 50}, {34, 74}, {50, 85}, {66, 74}, {71, 50}, {66, 25}, {50, 15}},
	"2": {{30, 30}, {38, 17}, {55, 13}, {68, 22}, {68, 38}, {55, 55}, {40, 70}, {30, 83}, {50, 83}, {72, 83}},
	"3": {{32, 18}, {50, 13}, {66, 22}, {64, 38}, {48, 47}, {64, 55}, {70, 70}, {58, 84}, {40, 86}, {28, 78}},
	"5": {{70, 15}, {36, 15}, {33, 45}, {52, 40}, {68, 50}, {70, 68}, {58, 84}, {40, 86}, {28, 78}},
}

// css selects elements.
type css = chromedp.CSS

type point struct{ x, y float64 }

// TestPage draws digits with the mouse and chooses photos, in a wide window and in
// one of the width of a phone.
func TestPage(t *testing.T) {
	if !*long {
		t.Skip("wants -long")
	}
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("no chromium: the page is not tested")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()

	// The corpus has a trained network. Without it, the network is that of the
	// default, whose weights are always the same.
	o := options{preprocess: "torch"}
	model, photo := filepath.Join(t.TempDir(), "squeezenet.onnx"), "../../runtime/vision/testdata/jpeg_420.jpg"
	if corpus := os.Getenv("MODELC_CORPUS"); corpus != "" {
		o.model = filepath.Join(corpus, "models/onnx/squeezenet1.1/model.onnx")
		model, photo = o.model, filepath.Join(corpus, "images/imagenet/cat_285.png")
	} else if err := command(ctx, nil, "go", "tool", "modelc", "zoo", "squeezenet1.1", "-o", model); err != nil {
		t.Fatal(err)
	}
	want := classesOf(t, model, photo)
	site := t.TempDir()
	if err := build(ctx, site, o); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.FileServer(http.Dir(site)))
	defer server.Close()
	if photo, err = filepath.Abs(photo); err != nil {
		t.Fatal(err)
	}

	ctx, cancel = chromedp.NewExecAllocator(ctx, chromedp.Headless, chromedp.NoFirstRun, chromedp.ExecPath(chromium), chromedp.NoSandbox, chromedp.DisableGPU)
	defer cancel()
	for _, size := range []struct{ width, height int64 }{{1280, 800}, {390, 844}} {
		t.Run(fmt.Sprint(size.width), func(t *testing.T) {
			open, cancel := chromedp.NewContext(ctx)
			defer cancel()
			p := tab{t, open}
			p.do(chromedp.EmulateViewport(size.width, size.height), chromedp.Navigate(server.URL),
				chromedp.WaitVisible(css(`#digit[data-state]`)), chromedp.WaitVisible(css(`#photo[data-state]`)))
			p.shot(fmt.Sprintf("ready-%d.png", size.width))
			p.width(size.width)
			for _, load := range []string{"digit", "photo"} {
				text := p.eval(`document.querySelector('#` + load + ` .load').innerText`)
				if !strings.Contains(text, " MB, ready after ") {
					t.Errorf("%s: %q", load, text)
				}
				t.Logf("%s: %s", load, text)
			}

			for digit, path := range strokes {
				p.draw(path, digit)
				t.Logf("%s: %s", digit, p.eval(`document.querySelector('#digit .time').textContent`))
				p.shot(fmt.Sprintf("digit-%s-%d.png", digit, size.width))
				p.do(chromedp.Click(css(`#digit button`)))
			}

			// While the photo is classified, digits are answered.
			p.do(chromedp.SetUploadFiles(css(`#photo input`), []string{photo}))
			p.draw(strokes["3"], "3")
			if got := p.eval(`document.querySelector('#photo .best').textContent`); got != "classifying …" {
				t.Errorf("the photo's answer came first: %q", got)
			}
			p.do(chromedp.WaitVisible(css(`#photo .classes li:nth-child(5)`)))
			got := p.eval(`[...document.querySelectorAll('#photo .classes li span:first-child')].map(e => e.textContent).join(', ')`)
			t.Logf("photo: %s; %s", got, p.eval(`document.querySelector('#photo .time').textContent`))
			if got != want {
				t.Errorf("the photo is classified as %s instead of %s", got, want)
			}
			p.width(size.width)
			p.shot(fmt.Sprintf("photo-%d.png", size.width))

			p.do(chromedp.SetUploadFiles(css(`#photo input`), []string{filepath.Join(site, "page.js")}),
				chromedp.WaitVisible(css(`#photo .best.error`)))
			if got := p.eval(`document.querySelector('#photo .best').textContent`); !strings.Contains(got, "not a PNG or JPEG") {
				t.Errorf("a text file: %q", got)
			}
			p.shot(fmt.Sprintf("error-%d.png", size.width))
		})
	}
}

// classesOf returns the names that modelc run prints, as the page shows them.
func classesOf(t *testing.T, model, photo string) string {
	t.Helper()
	out, err := exec.Command("go", "tool", "modelc", "run", "--engine", "inproc", "--preprocess", "torch", "--labels", "imagenet", model, photo).Output()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for line := range strings.Lines(string(out)) {
		if f := strings.Fields(line); len(f) == 2 { // a name and a score
			names = append(names, strings.ReplaceAll(f[0], "_", " "))
		}
	}
	if len(names) != 5 {
		t.Fatalf("modelc run printed\n%s", out)
	}
	return strings.Join(names, ", ")
}

// tab is an open page.
type tab struct {
	t   *testing.T
	ctx context.Context
}

func (p tab) do(steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	if err := chromedp.Do(p.ctx, steps...); err != nil {
		p.t.Fatal(err)
	}
}

// get returns the result of an action.
func get[T any](p tab, a chromedp.Action[T]) T {
	p.t.Helper()
	result, err := chromedp.Run(p.ctx, a)
	if err != nil {
		p.t.Fatal(err)
	}
	return result
}

// eval returns the value of an expression, a string.
func (p tab) eval(expression string) string {
	p.t.Helper()
	return get(p, chromedp.Evaluate[string](expression))
}

// width fails the test if the page is wider than the window.
func (p tab) width(want int64) {
	p.t.Helper()
	if got := p.eval(`String(document.documentElement.scrollWidth)`); got != fmt.Sprint(want) {
		p.t.Errorf("the page is %s pixels wide", got)
	}
}

// draw moves the mouse along a path on the canvas and waits for the answer want,
// before it releases the button.
func (p tab) draw(path []point, want string) {
	p.t.Helper()
	p.do(chromedp.ScrollIntoView(css(`#digit canvas`)))
	box := get(p, chromedp.Evaluate[struct{ X, Y, Width float64 }](`(({x, y, width}) => ({X: x, Y: y, Width: width}))(document.querySelector('#digit canvas').getBoundingClientRect())`))
	mouse := func(kind input.DispatchMouseEventType, at point) {
		p.t.Helper()
		p.do(chromedp.MouseEvent(kind, box.X+at.x*box.Width/100, box.Y+at.y*box.Width/100, chromedp.ButtonLeft))
	}
	mouse(input.DispatchMouseEventTypeMousePressed, path[0])
	for i, to := range path[1:] {
		for step := range 4 {
			f := float64(step+1) / 4
			mouse(input.DispatchMouseEventTypeMouseMoved, point{path[i].x*(1-f) + to.x*f, path[i].y*(1-f) + to.y*f})
		}
	}
	var got string
	for range 100 {
		if got = p.eval(`document.querySelector('#digit .best').textContent`); got == want {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	mouse(input.DispatchMouseEventTypeMouseReleased, path[len(path)-1])
	if got != want {
		p.t.Errorf("a drawn %s is recognised as %q", want, got)
	}
}

// shot writes a screenshot of the whole page.
func (p tab) shot(name string) {
	p.t.Helper()
	if *screenshots == "" {
		return
	}
	b := get(p, chromedp.FullScreenshot(100))
	if err := os.WriteFile(filepath.Join(*screenshots, name), b, 0o644); err != nil {
		p.t.Fatal(err)
	}
}
