#!/usr/bin/env python3
"""Writes the HDF5 files of this folder. Needs h5py; the files are committed.

    python make.py
"""
import h5py
import numpy as np


def new(name, **kw):
    return h5py.File(name, "w", libver=kw.get("libver", "earliest"))


with new("types.h5") as f:
    for t in ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"):
        f.create_dataset("numbers/" + t, data=np.arange(6, dtype=t).reshape(2, 3), track_times=False)
    f["scalar"] = np.float32(2.5)
    f["empty"] = np.zeros((0, 3), "f4")
    bf = f.create_dataset("bfloat16", data=np.array([0x3F80, 0x4000], "u2").view("V2"))
    bf.attrs["dtype"] = "bfloat16"
    compact = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    compact.set_layout(h5py.h5d.COMPACT)
    d = h5py.h5d.create(f.id, b"compact", h5py.h5t.IEEE_F32LE, h5py.h5s.create_simple((3,)), compact)
    d.write(h5py.h5s.ALL, h5py.h5s.ALL, np.arange(3, dtype="f4"))
    f.attrs["text"] = "λ " * 3000
    f.attrs["list"] = np.array(["conv1/bn", "", "dense"], dtype=h5py.string_dtype("ascii"))
    f.attrs["fixed"] = np.array([b"one", b"three"], dtype="S7")
    f.attrs["none"] = np.zeros((0,))
    f.attrs["number"] = 3

with new("big.h5") as f:
    for t in ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"):
        f.create_dataset("numbers/" + t, data=np.arange(6, dtype=">" + t).reshape(2, 3), track_times=False)
    f.create_dataset("chunks", data=np.arange(6, dtype=">f4").reshape(2, 3), chunks=(1, 2), compression="gzip", shuffle=True, track_times=False)

with new("groups.h5") as f:
    g = f.create_group("many")
    g["link_000"] = np.float32(7)
    for k in range(1, 300):  # hard links: a name each, no object
        g[f"link_{k:03d}"] = g["link_000"]
    for k in range(40):  # more than the header has room for
        g.attrs[f"later_{k}"] = f"value {k}"
    g["soft"] = h5py.SoftLink("/many/link_000")
    f["a/b/c/d"] = np.arange(3, dtype="i4")
    f["a/loop"] = f["a"]

with new("chunks.h5") as f:
    data = np.arange(70, dtype="f4").reshape(10, 7)
    f.create_dataset("plain", data=data, chunks=(4, 3))
    f.create_dataset("deflate", data=data, chunks=(4, 3), compression="gzip")
    f.create_dataset("both", data=data, chunks=(4, 3), compression="gzip", shuffle=True)
    f.create_dataset("line", data=np.arange(11, dtype="f8"), chunks=(5,), shuffle=True)
    f.create_dataset("checksum", data=data, chunks=(4, 3), fletcher32=True)
    f.create_dataset("lzf", data=data, chunks=(4, 3), compression="lzf")
    part = f.create_dataset("part", (10, 7), "f4", chunks=(4, 3))
    part[0, 0] = 1

with new("refused.h5") as f:
    f["compound"] = np.zeros(2, dtype=[("a", "f4"), ("b", "i4")])
    f["bool"] = np.array([True, False])
    f["reference"] = np.array([f.ref], dtype=h5py.ref_dtype)
    f["array"] = np.zeros(2, dtype=[("a", "f4", (2,))])["a"].astype("f4")
    f.create_dataset("unwritten", (3,), "f4")
    f.create_dataset("external", (3,), "f4", external=[("elsewhere.bin", 0, 12)])
    f["type"] = np.dtype("f4")
    f.create_dataset("committed", data=np.arange(3, dtype="f4"), dtype=f["type"])

with new("latest.h5", libver="latest") as f:
    f["x"] = np.arange(3, dtype="f4")

with h5py.File("newheader.h5", "w", libver=("v108", "v108")) as f:
    f["x"] = np.arange(3, dtype="f4")
