"""Pure metrics: what was asked and what was answered come in, figures with intervals go out. No torch, no runtime."""
