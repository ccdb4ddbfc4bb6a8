// Another quality for a run whose cameras are known: their stages keep the options that they had, and are not repeated.

// What presets set of the stages up to the cameras (config/presets.yaml, and the defaults where they set nothing).
export const CAMERAS = {
    draft: {
        extract_features: { max_side: 1200, max_features: 2048, first_octave: 'auto' },
        match_photos: { exhaustive_limit: 30, neighbours: 16 },
        map_scene: { retry_below: 0.75 },
    },
    standard: {
        extract_features: { max_side: 1600, max_features: 4096, first_octave: 'auto' },
        match_photos: { exhaustive_limit: 30, neighbours: 16 },
        map_scene: { retry_below: 0.9 },
    },
    high: {
        extract_features: { max_side: 2400, max_features: 8192, first_octave: -1 },
        match_photos: { exhaustive_limit: 60, neighbours: 30 },
        map_scene: { retry_below: 0.9 },
    },
};

/** Whether the cameras were found: in this run, or in one before, whose stages are not listed again. */
export function isMapped(status) {
    return status.scenes.every(({ stages = [] }) => stages.every(({ name, state }) => name !== 'map_scene' || state === 'done'));
}

/** Options with another preset; `mapped`: the cameras stay as they are. */
export function withQuality(options, preset, mapped) {
    const made = { ...options, preset };
    if (!mapped) return made;
    for (const [section, values] of Object.entries(CAMERAS[options.preset ?? 'standard'])) {
        made[section] = { ...values, ...options[section] };
    }
    return made;
}
