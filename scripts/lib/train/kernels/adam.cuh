// Adam's step of one number (Kingma and Ba, 2015).

#pragma once

// root: 1 / sqrt(1 - beta2^t).
struct Adam { float beta1, beta2, root, epsilon; };

// The value after the step; its moments are brought forward. rate: the learning rate over 1 - beta1^t.
__device__ inline float adam_update(float value, float gradient, float& first, float& second, float rate, const Adam& adam) {
    first += (gradient - first) * (1 - adam.beta1);
    second = second * adam.beta2 + gradient * gradient * (1 - adam.beta2);
    return value - rate * first / (sqrtf(second) * adam.root + adam.epsilon);
}
