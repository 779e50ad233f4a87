/** Small pictures for painted nodes: decoded once, drawn when they are there. */

const SIDE = 256;
const MOST = 120;

export class Pictures {
  private readonly kept = new Map<string, ImageBitmap | null>();

  constructor(private readonly ready: () => void) {}

  /** The picture at an address; null while it is not there. */
  get(address: string): ImageBitmap | null {
    if (!address) return null;
    const known = this.kept.get(address);
    if (known !== undefined) return known;
    this.kept.set(address, null);
    this.load(address).then(
      (bitmap) => {
        if (!this.kept.has(address)) return bitmap.close();
        this.kept.set(address, bitmap);
        this.ready();
      },
      () => {}, // No picture there: the box stays plain.
    );
    this.trim();
    return null;
  }

  private async load(address: string): Promise<ImageBitmap> {
    const image = new Image();
    image.src = address;
    await image.decode();
    const scale = Math.min(1, SIDE / Math.max(image.naturalWidth, image.naturalHeight, 1));
    return createImageBitmap(image, {
      resizeWidth: Math.max(1, Math.round(image.naturalWidth * scale)),
      resizeHeight: Math.max(1, Math.round(image.naturalHeight * scale)),
    });
  }

  /** The oldest leave first. */
  private trim(): void {
    for (const [address, bitmap] of this.kept) {
      if (this.kept.size <= MOST) return;
      bitmap?.close();
      this.kept.delete(address);
    }
  }
}
