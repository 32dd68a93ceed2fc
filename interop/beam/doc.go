// Package beam is a transform for Apache Beam that runs packages made by modelc.
//
// A program registers its networks and applies [Predict]:
//
//	func init() {
//		beam.Register("digits", beam.Network{Digest: digest, Open: open})
//	}
//
//	images, unread := beam.Read(s, patterns)
//	results, failures := beam.Predict(s, "digits", beam.Options{}, images)
//
// The network is part of the worker's program, so that workers need no other image
// and no other process. Every worker process opens it once, whatever the number of
// bundles that it processes at the same time, and all bundles share one pool of
// sessions with one thread each. The elements of a bundle are computed in batches.
// An element that cannot be computed goes to a side output with its error; it does
// not fail its bundle.
//
// Elements keep neither window nor timestamp: results are in the global window.
package beam
