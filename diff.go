package modelc

import "modelc/backend/golang"

// Differences are the files of a package that are not what they would be, by
// their paths.
type Differences []golang.Difference
