"""AuraFlow (0.1 to 0.3, and the models made from them). fal 2024, blog.fal.ai/auraflow; code github.com/cloneofsimo."""
