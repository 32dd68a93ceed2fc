// Non-maximum suppression. All computations are in float, and no product is fused with a
// sum, because the thresholds compare their results.
struct corners {
    float x0, y0, x1, y1;
    __device__ float area() const { return __fmul_rn(x1 - x0, y1 - y0); }
};

template <bool CENTER> __device__ corners corners_of(const float *v) {
    if (CENTER) {
        const float w = v[2] / 2, h = v[3] / 2;
        return corners{v[0] - w, v[1] - h, v[0] + w, v[1] + h};
    }
    return corners{min(v[1], v[3]), min(v[0], v[2]), max(v[1], v[3]), max(v[0], v[2])};
}

// overlap_of returns the intersection over the union of two boxes, 0 if one has no area.
__device__ inline float overlap_of(const corners &a, const corners &b) {
    const float w = min(a.x1, b.x1) - max(a.x0, b.x0), h = min(a.y1, b.y1) - max(a.y0, b.y0);
    if (!(w > 0 && h > 0 && a.area() > 0 && b.area() > 0)) return 0;
    const float common = __fmul_rn(w, h);
    return common / (a.area() + b.area() - common);
}

// find_boxes: a thread finds at most MOST boxes of an image and class. It considers the
// boxes in the order of their scores. found has rows of their number and their indices.
template <int IMAGES, int CLASSES, int BOXES, int MOST, bool CENTER>
__device__ void find_boxes(const float *boxes, const float *scores, int *found, float overlap, float score) {
    const int i = blockIdx.x * 256 + threadIdx.x;
    if (i >= IMAGES * CLASSES) return;
    const float *s = scores + i * BOXES, *v = boxes + i / CLASSES * BOXES * 4;
    int *row = found + i * (MOST + 1);
    int n = 0, last = -1;
    while (n < MOST) {
        int best = -1;
        for (int k = 0; k < BOXES; k++) {
            if (!(s[k] > score) || last >= 0 && !(s[k] < s[last] || s[k] == s[last] && k > last)) continue;
            if (best < 0 || s[k] > s[best]) best = k;
        }
        if (best < 0) break;
        last = best;
        const corners b = corners_of<CENTER>(v + best * 4);
        bool free = true;
        for (int k = 1; k <= n && free; k++) free = !(overlap_of(b, corners_of<CENTER>(v + row[k] * 4)) > overlap);
        if (free) row[++n] = best;
    }
    row[0] = n;
}

// gather_boxes: one thread writes rows of image, class and box, then rows of −1.
template <int IMAGES, int CLASSES, int MOST> __device__ void gather_boxes(const int *found, long long *rows, long long *count) {
    int n = 0;
    for (int i = 0; i < IMAGES * CLASSES; i++)
        for (int k = 1; k <= found[i * (MOST + 1)]; k++, n++) {
            rows[n * 3] = i / CLASSES;
            rows[n * 3 + 1] = i % CLASSES;
            rows[n * 3 + 2] = found[i * (MOST + 1) + k];
        }
    *count = n;
    for (int i = n * 3; i < IMAGES * CLASSES * MOST * 3; i++) rows[i] = -1;
}
