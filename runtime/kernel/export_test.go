package kernel

// SetScratch replaces the scratch memory of a worker.
func (c *Context) SetScratch(worker int, b []byte) { c.scratch[worker] = b }
