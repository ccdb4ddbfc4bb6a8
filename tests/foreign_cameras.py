"""Writers of other programs' camera files, from the sample's truth, each in that program's own convention."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

SAMPLE = Path(__file__).parent / "data" / "sample"
TRUTH = json.loads((SAMPLE / "truth.json").read_text())
CAMERA = TRUTH["camera"]
POSES = {name: np.array(row["world_to_camera"]) for name, row in TRUTH["photos"].items()}


def _quat(pose: np.ndarray) -> tuple[float, ...]:
    x, y, z, w = Rotation.from_matrix(pose[:3, :3]).as_quat()
    return w, x, y, z


def colmap_text() -> dict[str, bytes]:
    """cameras.txt and images.txt with an empty second line."""
    lens = " ".join(str(CAMERA[key]) for key in ("fx", "fy", "cx", "cy"))
    cameras = f"# comment\n1 PINHOLE {CAMERA['width']} {CAMERA['height']} {lens}\n"
    images = "# comment\n"
    for number, (name, pose) in enumerate(POSES.items(), 1):
        numbers = " ".join(repr(float(v)) for v in (*_quat(pose), *pose[:3, 3]))
        images += f"{number} {numbers} 1 {name}\n\n"
    return {"cameras.txt": cameras.encode(), "images.txt": images.encode()}


def colmap_binary() -> dict[str, bytes]:
    """cameras.bin and images.bin, with two sightings in each photo."""
    lens = [CAMERA[key] for key in ("fx", "fy", "cx", "cy")]
    cameras = struct.pack("<QiiQQ4d", 1, 1, 1, CAMERA["width"], CAMERA["height"], *lens)
    images = struct.pack("<Q", len(POSES))
    for number, (name, pose) in enumerate(POSES.items(), 1):
        images += struct.pack("<i7di", number, *_quat(pose), *pose[:3, 3], 1)
        images += name.encode() + b"\0" + struct.pack("<Q", 2) + struct.pack("<ddq", 1, 2, -1) * 2
    return {"cameras.bin": cameras, "images.bin": images}


def transforms(applied: np.ndarray | None = None, per_frame: bool = False) -> dict[str, Any]:
    """nerfstudio's file; `applied` (3 x 4) is its applied_transform, `per_frame` as Polycam has it."""
    lens = {
        "fl_x": CAMERA["fx"],
        "fl_y": CAMERA["fy"],
        "cx": CAMERA["cx"],
        "cy": CAMERA["cy"],
        "w": CAMERA["width"],
        "h": CAMERA["height"],
    }
    frames = []
    for name, pose in POSES.items():
        to_world = np.linalg.inv(pose)
        to_world[:3, 1:3] *= -1
        if applied is not None:
            to_world = np.vstack([applied, [0, 0, 0, 1]]) @ to_world
        frame = {"file_path": f"./images/{name}", "transform_matrix": to_world.tolist()}
        frames.append({**frame, **(lens if per_frame else {})})
    content: dict[str, Any] = {"frames": frames, **({} if per_frame else lens)}
    if applied is not None:
        content["applied_transform"] = applied.tolist()
    return content


def metashape() -> bytes:
    """cameras.xml with a chunk that is turned, moved and scaled against its world; the last camera is off."""
    turn = Rotation.from_euler("xyz", [20, -40, 70], degrees=True).as_matrix()
    scale, shift = 3.5, np.array([10.0, -4.0, 2.0])
    chunk = np.eye(4)
    chunk[:3, :3], chunk[:3, 3] = scale * turn, shift
    rows = []
    for number, (name, pose) in enumerate(POSES.items()):
        placed = np.linalg.inv(chunk) @ np.linalg.inv(pose)
        placed[:3, :3] *= scale
        label = name.rsplit(".", 1)[0]
        off = ' enabled="false"' if number == len(POSES) - 1 else ""
        text = " ".join(repr(float(v)) for v in placed.ravel())
        rows.append(
            f'<camera id="{number}" sensor_id="0" label="{label}"{off}>'
            f"<transform>{text}</transform></camera>"
        )
    numbers = " ".join(repr(float(v)) for v in turn.ravel())
    place = " ".join(map(str, shift))
    size = f'<resolution width="{CAMERA["width"]}" height="{CAMERA["height"]}"/>'
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<document version="2.0.0">\n <chunk label="Chunk 1">'
        f'<sensors><sensor id="0" type="frame">{size}'
        f'<calibration type="frame" class="initial">{size}<f>1</f></calibration>'
        f'<calibration type="frame" class="adjusted">{size}<f>{CAMERA["fx"]}</f><cx>0.5</cx>'
        "<p1>0.001</p1><p2>0.002</p2></calibration></sensor></sensors>"
        f'<cameras>{"".join(rows)}<camera id="99" sensor_id="0" label="none"/></cameras>'
        f"<transform><rotation>{numbers}</rotation><translation>{place}</translation>"
        f"<scale>{scale}</scale></transform></chunk></document>"
    ).encode()


def opensfm() -> bytes:
    """reconstruction.json: angle-axis rotations, lenses in shares of the longer side."""
    side = max(CAMERA["width"], CAMERA["height"])
    camera = {
        "projection_type": "brown",
        "width": CAMERA["width"],
        "height": CAMERA["height"],
        "focal_x": CAMERA["fx"] / side,
        "focal_y": CAMERA["fy"] / side,
        "c_x": 0.01,
        "c_y": 0.0,
        "k1": 0.0,
    }
    shots = {
        name: {
            "rotation": Rotation.from_matrix(pose[:3, :3]).as_rotvec().tolist(),
            "translation": pose[:3, 3].tolist(),
            "camera": "v2 brown",
        }
        for name, pose in POSES.items()
    }
    return json.dumps([{"cameras": {"v2 brown": camera}, "shots": shots, "points": {}}]).encode()


def reality_xmp(name: str) -> bytes:
    """The XMP file of a photo: rotation by rows, place, and focal length on 35 mm film."""
    pose = POSES[name]
    turn = " ".join(repr(float(v)) for v in pose[:3, :3].ravel())
    place = " ".join(repr(float(v)) for v in -pose[:3, :3].T @ pose[:3, 3])
    film = 36 * CAMERA["fx"] / CAMERA["width"]
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description xcr:Version="3" '
        f'xcr:DistortionModel="brown3" xcr:FocalLength35mm="{film!r}" xcr:PrincipalPointU="0.01" '
        f'xcr:PrincipalPointV="0"><xcr:Rotation>{turn}</xcr:Rotation>'
        f"<xcr:Position>{place}</xcr:Position>"
        "<xcr:DistortionCoeficients>0 0 0 0 0 0</xcr:DistortionCoeficients>"
        "</rdf:Description></rdf:RDF></x:xmpmeta>"
    ).encode()


def _arkit(pose: np.ndarray) -> np.ndarray:
    """Camera to world with x right, y up, z backward."""
    to_world = np.linalg.inv(pose)
    to_world[:3, 1:3] *= -1
    return to_world


def reality_csv(geographic: tuple[float, float] | None = None, radians: bool = False) -> bytes:
    """RealityCapture's internal and external parameters; with latitude and longitude of the world's zero.

    An angle's sine or cosine stands in each element of the matrix, which tells it.
    """
    text = "#name,x,y,alt,heading,pitch,roll,f,px,py,k1,k2,k3,k4,t1,t2\n"
    film = 36 / CAMERA["width"]
    for name, pose in POSES.items():
        world = _arkit(pose)
        pitch = np.arcsin(world[2, 1])
        roll = np.arctan2(-world[2, 0], world[2, 2])
        heading = -np.arctan2(-world[0, 1], world[1, 1]) % (2 * np.pi)
        angles = [heading, pitch, roll] if radians else np.degrees([heading, pitch, roll])
        place = world[:3, 3].copy()
        if geographic is not None:  # metres on a sphere, to a thousandth
            north, east = geographic
            place[1] = north + np.degrees(place[1] / 6367449)
            place[0] = east + np.degrees(place[0] / (6388838 * np.cos(np.radians(north))))
        lens = [CAMERA["fx"] * film, 0.01 * 36, 0, 0, 0, 0, 0, 0.001, 0.002]
        text += ",".join([name, *(repr(float(v)) for v in (*place, *angles, *lens))]) + "\n"
    return text.encode()


def record3d() -> bytes:
    """metadata.json of photos 0.jpg, 1.jpg and so on."""
    k = [CAMERA["fx"], 0, 0, 0, CAMERA["fy"], 0, CAMERA["cx"], CAMERA["cy"], 1]
    poses = []
    for pose in POSES.values():
        world = _arkit(pose)
        quat = Rotation.from_matrix(world[:3, :3]).as_quat()
        poses.append([*quat.tolist(), *world[:3, 3].tolist()])
    own = [[CAMERA["fx"] + n, CAMERA["fy"], CAMERA["cx"], CAMERA["cy"]] for n in range(len(POSES))]
    content = {"w": CAMERA["width"], "h": CAMERA["height"], "fps": 60, "K": k, "poses": poses}
    return json.dumps({**content, "perFrameIntrinsicCoeffs": own}).encode()


def polycam() -> dict[str, bytes]:
    """keyframes/cameras/NAME.json for each photo."""
    lens = {"fx": CAMERA["fx"], "fy": CAMERA["fy"], "cx": CAMERA["cx"], "cy": CAMERA["cy"]}
    size = {"width": CAMERA["width"], "height": CAMERA["height"], "blur_score": 100.0}
    files = {}
    for name, pose in POSES.items():
        world = _arkit(pose)
        rows = {f"t_{i}{j}": world[i, j] for i in range(3) for j in range(4)}
        stem = name.rsplit(".", 1)[0]
        files[f"keyframes/cameras/{stem}.json"] = json.dumps({**lens, **size, **rows}).encode()
    return files


def odm_shots(shift: tuple[float, float, float] = (0, 0, 0)) -> tuple[bytes, bytes]:
    """OpenDroneMap's shots.geojson, whose places are `shift` from the world's, and cameras.json."""
    side = max(CAMERA["width"], CAMERA["height"])
    features = []
    for name, pose in POSES.items():
        place = -pose[:3, :3].T @ pose[:3, 3] + np.array(shift)
        facts = {
            "filename": name,
            "camera": "v2 a",
            "focal": 0.5,
            "width": CAMERA["width"],
            "height": CAMERA["height"],
            "translation": place.tolist(),
            "rotation": Rotation.from_matrix(pose[:3, :3]).as_rotvec().tolist(),
        }
        features.append({"type": "Feature", "properties": facts, "geometry": None})
    camera = {
        "projection_type": "brown",
        "width": CAMERA["width"],
        "height": CAMERA["height"],
        "focal_x": CAMERA["fx"] / side,
        "focal_y": CAMERA["fy"] / side,
        "c_x": 0.01,
        "c_y": 0.0,
    }
    shots = {"type": "FeatureCollection", "features": features}
    return json.dumps(shots).encode(), json.dumps({"v2 a": camera}).encode()
