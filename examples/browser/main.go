// Command browser serves a page that runs networks in the browser: it recognises a
// digit while a person draws it, and it classifies photos. README.md describes the
// parts of the page.
//
//	go run . -model squeezenet1.1.onnx
//
// The networks are Go packages in WebAssembly programs. No picture leaves the
// browser. The server only sends files, and any server of files can replace it:
//
//	go run . -model squeezenet1.1.onnx -o site
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"
)

//go:generate go tool modelc compile ../../testdata/digits/lenet5.onnx -o digits --preprocess unit --labels labels.txt

func main() {
	log.SetFlags(0)
	log.SetPrefix("browser: ")
	listen := flag.String("listen", "localhost:8080", "`address` to listen on")
	var o options
	flag.StringVar(&o.model, "model", "", "classifier of photos, an ONNX or Keras `file` with 1000 classes of ImageNet; the default is SqueezeNet without training, whose answers mean nothing")
	flag.StringVar(&o.preprocess, "preprocess", "torch", "`mode` of the levels, as in modelc compile")
	dir := flag.String("o", "", "write the site to this `folder` instead of serving it")
	flag.Parse()
	if flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *listen, *dir, o); err != nil {
		log.Fatal(err)
	}
}

// run writes the site to dir, or serves it until ctx is done if dir is empty.
func run(ctx context.Context, listen, dir string, o options) error {
	if dir != "" {
		return build(ctx, dir, o)
	}
	dir, err := os.MkdirTemp("", "site")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := build(ctx, dir, o); err != nil {
		return err
	}
	server := &http.Server{Addr: listen, Handler: http.FileServer(http.Dir(dir))}
	context.AfterFunc(ctx, func() { server.Close() })
	fmt.Printf("http://%s\n", listen)
	if err := server.ListenAndServe(); ctx.Err() == nil {
		return err
	}
	return nil
}
