// Package integer holds the kernels on images of bytes: quantised convolutions,
// dense layers, pools and arithmetic, and the conversions between bytes and floats.
//
// An image of bytes has elements of type [kernel.Uint8] in blocks of 16 channels, or of
// 4 for at most 4 channels. A tensor of type i8 is stored with 128 added to each
// element, so the kernels know unsigned bytes only, and zero points of i8 have 128
// added too. Channels beyond C in the last block hold any bytes.
package integer
