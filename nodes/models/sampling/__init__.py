"""From noise to a latent: spacing of sigmas, solvers of dx/dσ = v(x, σ), guidance, noise. Knows no model, no picture.

The path is a straight line, x = (1 − σ) · x₀ + σ · ε, with σ = 1 noise and σ = 0 the latent, and v ≈ ε − x₀.
Liu et al. 2022, arXiv:2209.03003; Lipman et al. 2022, arXiv:2210.02747.
"""
