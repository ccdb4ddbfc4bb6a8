"""The lock of images: pins, digests, and that a forgotten step is seen."""

from __future__ import annotations

import re
import shutil
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.lib.core.console import UserError
from scripts.lib.workflow.container_images import (
    Image,
    current,
    out_of_date,
    read_lock,
    rule_images,
    write_lock,
)
from scripts.tools import engine
from scripts.tools import images as program

DIGEST = "sha256:" + "5a" * 32
PARTS = ("containers", "envs", "config")


@pytest.fixture
def copy(tmp_path: Path, root: Path) -> Path:
    """A copy of everything that images are made from."""
    for part in PARTS:
        shutil.copytree(root / part, tmp_path / part)
    viewer = Path("scripts", "viewer")
    shutil.copytree(root / viewer, tmp_path / viewer)
    return tmp_path


def without_line(pattern: str) -> Callable[[str], str]:
    """An edit that deletes the one line that starts with `pattern`."""

    def edit(text: str) -> str:
        edited, count = re.subn(rf"(?m)^{pattern}.*\n( +--hash.*\n)*", "", text)
        assert count == 1
        return edited

    return edit


def with_line(line: str) -> Callable[[str], str]:
    return lambda text: text + line + "\n"


@pytest.mark.parametrize(
    ("file", "edit", "sentence"),
    [
        # A package deleted from each kind of environment file
        ("envs/sfm.in", without_line("pyproj"), r"envs/sfm\.txt was locked from another sfm\.in"),
        ("envs/worker.in", without_line("boto3"), r"envs/images/web\.txt was locked from another"),
        ("envs/train.in", without_line("scipy"), r"envs/images/train\.txt was locked from another"),
        (
            "envs/images/train.txt",
            without_line("plyfile"),
            "plyfile is in envs/train.txt but not in",
        ),
        ("envs/images/train.txt", with_line("# more"), "image 'train' is pinned to"),
        # A version changed in one lock only
        ("envs/web.txt", lambda text: text.replace("jinja2==", "jinja2==0."), "jinja2 is "),
        # A lock whose origin is gone
        ("envs/web.txt", without_line("# Locked"), "does not say what it was locked from"),
        # A recipe, and each other file that it copies
        ("containers/web/Dockerfile", with_line("# more"), "image 'web' is pinned to"),
        ("scripts/viewer/package-lock.json", with_line(""), "image 'web' is pinned to"),
    ],
)
def test_a_change_without_its_pin_fails(
    copy: Path, file: str, edit: Callable[[str], str], sentence: str
) -> None:
    program.check(copy)
    before = (copy / file).read_text()
    (copy / file).write_text(edit(before))
    assert (copy / file).read_text() != before
    with pytest.raises(UserError, match=sentence):
        program.check(copy)


def test_the_program_itself_fails(
    copy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What CI runs: `python -m scripts.tools.images --check` after a deleted package."""
    monkeypatch.setattr(program, "ROOT", copy)
    program.main(["--check"])
    (copy / "envs" / "images" / "sfm.txt").write_text("")
    with pytest.raises(UserError, match="image 'sfm' is pinned to"):
        program.main(["--check"])


def test_update_mends_the_pin_and_leaves_the_others(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program, "ROOT", copy)
    before = read_lock(copy)
    with (copy / "containers" / "web" / "Dockerfile").open("a") as handle:
        handle.write("# more\n")
    program.main([])
    after = read_lock(copy)
    assert out_of_date(copy) == []
    assert [name for name in after if after[name] != before[name]] == ["web"]


def test_images_without_recipe_or_entry(copy: Path) -> None:
    shutil.rmtree(copy / "containers" / "train-cpu")
    (copy / "containers" / "new").mkdir()
    shutil.copy(copy / "containers" / "web" / "Dockerfile", copy / "containers" / "new")
    problems = "\n".join(out_of_date(copy))
    assert "there is no containers/train-cpu/Dockerfile" in problems
    assert "containers/new/Dockerfile has no entry" in problems


def test_a_digest_lives_as_long_as_its_recipe(copy: Path) -> None:
    images = current(copy)
    images["web"] = Image("web", images["web"].tag, {"ghcr.io/splatmake": DIGEST})
    write_lock(copy, images)
    assert read_lock(copy) == current(copy) == images
    with (copy / "containers" / "web" / "Dockerfile").open("a") as handle:
        handle.write("# more\n")
    assert current(copy)["web"].digests == {}


def test_names_for_rules(copy: Path) -> None:
    images = current(copy)
    images["web"] = Image("web", images["web"].tag, {"ghcr.io/splatmake": DIGEST})
    write_lock(copy, images)
    names = rule_images(copy, "ghcr.io/splatmake")
    assert names["web"] == f"docker://ghcr.io/splatmake/web@{DIGEST}"
    assert names["sfm"] == f"docker://ghcr.io/splatmake/sfm:{images['sfm'].tag}"
    assert names["train-cpu"] == f"docker://ghcr.io/splatmake/train-cpu:{images['train-cpu'].tag}"
    # Another registry got none of that digest.
    own = rule_images(copy, "localhost:5000/mine")
    assert own["web"] == f"docker://localhost:5000/mine/web:{images['web'].tag}"
    assert own["train"] == f"docker://localhost:5000/mine/train:{images['train'].tag}"


@pytest.mark.parametrize(
    "text",
    [
        "images: {web: docker://ghcr.io/splatmake/web:latest}",
        "images: {web: {tag: latest}}",
        "images: {web: {}}",
        "images: {web: {tag: 0f, digests: {ghcr.io/splatmake: latest}}}",
    ],
)
def test_a_malformed_lock_is_one_sentence(copy: Path, text: str) -> None:
    (copy / "containers" / "images.yaml").write_text(text)
    with pytest.raises(UserError, match="'web' is malformed"):
        read_lock(copy)


WEB = Image("web", "0123456789abcdef")


def test_build_and_push_commands() -> None:
    build = engine.build_command("podman", WEB, "ghcr.io/me", "abc", ["--network", "host"])
    assert build[:2] == ["podman", "build"] and build[-3:] == ["--network", "host", "."]
    assert "containers/web/Dockerfile" in build and "REVISION=abc" in build
    assert "ghcr.io/me/web:0123456789abcdef" in build
    assert engine.push_command("docker", WEB, "ghcr.io/me") == [
        "docker", "push", "ghcr.io/me/web:0123456789abcdef",
    ]  # fmt: skip


def test_a_trial_sees_one_folder_in_and_one_out(tmp_path: Path) -> None:
    command = engine.trial_command(
        "docker",
        WEB,
        "r",
        Path("/code"),
        Path("/photos"),
        Path("/made"),
        ["report.html"],
        ["--gpus", "all"],
    )
    volumes = [word for flag, word in zip(command, command[1:], strict=False) if flag == "--volume"]
    assert volumes == ["/code:/workflow:ro", "/photos:/input:ro", "/made:/output"]
    assert command[-2:] == ["--", "/output/results/trial/report.html"] and "--gpus" in command
    runner = engine.trial_command("docker", WEB, "r", tmp_path, tmp_path, tmp_path, [])
    assert runner[-1] == "--dry-run"


def fake_engine(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!{sys.executable}\nimport sys, os\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@pytest.fixture
def tools(copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder at the front of PATH for engines; the program works on the copy."""
    monkeypatch.setattr(program, "ROOT", copy)
    folder = tmp_path / "tools"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    return folder


def test_lock_writes_what_the_registry_says(
    copy: Path, tools: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine's sister program is asked for each image; its answer stands in the lock afterwards."""
    fake_engine(tools, "buildah", "")
    fake_engine(
        tools, "skopeo", f"assert sys.argv[-1].startswith('docker://r.io/web:'); print('{DIGEST}')"
    )
    program.main(["lock", "web", "--registry", "r.io", "--engine", "buildah"])
    assert read_lock(copy)["web"].digests == {"r.io": DIGEST}
    assert read_lock(copy)["sfm"].digests == {}
    fake_engine(tools, "skopeo", "print('no such manifest')")
    with pytest.raises(UserError, match="push it first"):
        program.main(["lock", "sfm", "--registry", "r.io", "--engine", "buildah"])
    fake_engine(tools, "skopeo", "sys.exit(3)")
    with pytest.raises(UserError, match="failed with code 3"):
        program.main(["lock", "sfm", "--registry", "r.io", "--engine", "buildah"])


def test_a_trial_goes_through_every_image(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each image is run on one folder of photos, in the order in which they need each other's files."""
    monkeypatch.setattr(program, "ROOT", copy)
    tools, photos, folder = tmp_path / "tools", tmp_path / "photos", tmp_path / "trial"
    tools.mkdir()
    photos.mkdir()
    monkeypatch.setenv("PATH", str(tools), prepend=":")
    fake_engine(tools, "docker", "print(*sys.argv[1:], file=open(os.environ['CALLS'], 'a'))")
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    words = ["try", "--registry", "r.io", "--photos", str(photos), "--folder", str(folder)]
    with pytest.raises(UserError, match="holds no photos"):
        program.main(words)
    for number in range(20):
        (photos / f"{number:02}.jpg").write_bytes(b"")
    program.main(words)
    calls = (tmp_path / "calls").read_text().splitlines()
    images = [match[1] for call in calls if (match := re.search(r"r\.io/([\w-]+):", call))]
    assert images == ["runner", "sfm", "train-cpu", "web"]
    assert len(list((folder / "in" / "photos").iterdir())) == program.TRIAL_PHOTOS
    assert (folder / "in" / "scenes.tsv").read_text().endswith("trial\t/input/photos\n")
    (tmp_path / "calls").unlink()
    program.main([*words[:1], "train", *words[1:], "--", "--gpus", "all"])
    calls = (tmp_path / "calls").read_text().splitlines()
    assert sum("--gpus all" in call and "r.io/train:" in call for call in calls) == 1
    with pytest.raises(UserError, match="buildah only builds"):
        fake_engine(tools, "buildah", "")
        program.main([*words, "--engine", "buildah"])


def test_only_what_the_registry_lacks(
    tools: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    fake_engine(tools, "buildah", "print(*sys.argv[1:], file=open(os.environ['CALLS'], 'a'))")
    fake_engine(tools, "skopeo", "sys.exit(0 if '/web:' in sys.argv[-1] else 1)")
    program.main(["build", "web", "sfm", "--missing", "--registry", "r.io", "--engine", "buildah"])
    (call,) = (tmp_path / "calls").read_text().splitlines()
    assert "containers/sfm/Dockerfile" in call


def test_mistakes_are_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no image 'webb'; there are runner, sfm, studio"):
        program.main(["build", "webb"])
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="none of docker, podman, buildah is on PATH"):
        program.main(["build", "web"])
    with pytest.raises(UserError, match="podman is not on PATH"):
        program.main(["push", "web", "--engine", "podman"])


def made_by(root: Path) -> dict[str, tuple[str, str, set[str]]]:
    """{a scene's file: (rule, image, files of the scene that it needs)}, read from the rules."""
    found: dict[str, tuple[str, str, set[str]]] = {}
    for path in sorted((root / "rules").glob("*.smk")):
        for body in path.read_text(encoding="utf-8").split("\nrule ")[1:]:
            name, image = body.split(":")[0], re.search(r'IMAGES\["([\w-]+)"\]', body)
            if not image or "    output:" not in body or "    input:" not in body:
                continue
            before, after = body.split("    output:", 1)
            files = re.compile(r'"<results>/\{scene\}/([^"]+)"')
            needs = set(files.findall(before))
            for made in files.findall(after.split("    log:", 1)[0]):
                found[made] = (name, image[1], needs)
    return found


def test_each_image_finds_what_it_needs_in_a_trial(root: Path) -> None:
    """Started one after the other, no image is asked for the work of another one's rules."""
    rules, done = made_by(root), set[str]()

    def work(file: str) -> set[tuple[str, str]]:
        if file not in rules or rules[file][0] in done:
            return set()
        rule, image, needs = rules[file]
        return {(rule, image)}.union(*map(work, needs))

    assert {"undistorted.zip", "codecs.json", "report.html"} <= set(rules)
    for stage, files in engine.TRIALS:
        steps = set().union(*map(work, files))
        assert steps and {image for _, image in steps} == {stage}, (stage, steps)
        done |= {rule for rule, _ in steps}
