/** The media type under which the library hands a kind of node to the canvas. */
export const DRAGGED = "application/x-latentloom-kind";
