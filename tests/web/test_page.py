"""The page, in real Chromium."""

from __future__ import annotations

import base64
import io
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from PIL import Image

from dvmsr.images import read_image


def row(page, name):
    return page.locator(".picture").filter(has=page.get_by_role("heading", name=name, exact=True))


def button(page, what, name):
    return row(page, name).get_by_role("button", name=f"{what} {name}", exact=True)


def add(page, *paths):
    page.set_input_files("#choose", [str(path) for path in paths])
    for path in paths:
        row(page, path.name).wait_for()


def enlarge(page, path):
    """Add a picture and enlarge it to the end."""
    add(page, path)
    button(page, "Enlarge", path.name).click()
    button(page, "Compare", path.name).wait_for()


def download(page, name):
    with page.expect_download() as found:
        row(page, name).get_by_role("link", name=f"Download {name}").click()
    return found.value


def shown(page):
    """Wait until both pictures are all there."""
    for layer in ("before", "after"):
        page.locator(f"#layer-{layer}[data-ready=true]").wait_for(state="attached")


def colour_at(path, x, y):
    return np.asarray(Image.open(path).convert("RGB"))[y, x].astype(int)


def test_download_has_the_command_lines_bytes(open_page, server, pictures, command_line, shoot):
    page = open_page(server)
    path = pictures["p3.jpg"]
    page.get_by_label("Times larger", exact=True).fill("3")
    page.get_by_label("Format").select_option("WebP")
    page.get_by_label("Lose nothing").check()
    enlarge(page, path)
    shoot(page, "done")
    found = download(page, path.name)
    expected = command_line(path, "--scale", "3", "--format", "webp", "--lossless")
    assert found.suggested_filename == expected.name == "p3_x3.webp"
    assert found.path().read_bytes() == expected.read_bytes()
    # Another form of the size, asked for again.
    page.get_by_label("Size", exact=True).select_option("fit into a frame, in pixels")
    page.get_by_label("Width").fill("90")
    page.get_by_label("Height").fill("70")
    page.get_by_label("Format").select_option("JPEG")
    page.get_by_label("Quality of").fill("60")
    button(page, "Enlarge again", path.name).click()
    row(page, path.name).get_by_text("90x70, JPG, quality 60").wait_for()
    button(page, "Compare", path.name).wait_for()
    found = download(page, path.name)
    expected = command_line(path, "--size", "90x70", "--format", "jpg", "--quality", "60")
    assert found.suggested_filename == expected.name
    assert found.path().read_bytes() == expected.read_bytes()


def test_pictures_can_be_chosen_before_the_program_has_answered(open_page, server, pictures):
    page = open_page(server)
    held = []
    page.route("**/api/about", lambda route: held.append(route))
    with page.expect_request("**/api/about"):
        page.reload()
    page.set_input_files("#choose", str(pictures["cat.png"]))
    assert page.locator(".picture").count() == 0
    (route,) = held
    route.continue_()
    button(page, "Enlarge", "cat.png").wait_for()


def test_a_quality_is_for_formats_that_have_one(open_page, server, pictures, command_line):
    page = open_page(server)
    add(page, pictures["cat.png"], pictures["p3.jpg"])
    page.get_by_label("Quality of").fill("40")
    page.get_by_role("button", name="Enlarge all 2").click()
    for name, arguments in (("cat.png", ()), ("p3.jpg", ("--quality", "40"))):
        button(page, "Compare", name).wait_for()
        found = download(page, name)
        assert found.path().read_bytes() == command_line(pictures[name], *arguments).read_bytes()


def test_other_settings_can_be_had_for_all(open_page, server, pictures, command_line):
    page = open_page(server)
    add(page, pictures["cat.png"], pictures["p3.jpg"])
    page.get_by_role("button", name="Enlarge all 2").click()
    for name in ("cat.png", "p3.jpg"):
        button(page, "Compare", name).wait_for()
    assert page.get_by_role("button", name="Enlarge all").is_disabled()
    page.get_by_label("Times larger", exact=True).fill("2")
    page.get_by_role("button", name="Enlarge all 2").wait_for()
    assert "2 to do (2 of them again, by other settings)" in page.locator("#overall").inner_text()
    page.get_by_role("button", name="Enlarge all 2").click()
    for name in ("cat.png", "p3.jpg"):
        row(page, name).get_by_text("(x2)").wait_for()
        button(page, "Compare", name).wait_for()
        expected = command_line(pictures[name], "--scale", "2")
        assert download(page, name).path().read_bytes() == expected.read_bytes()
    assert page.get_by_role("button", name="Enlarge all").is_disabled()


def test_all_frames_of_an_animation(open_page, server, pictures, command_line, shoot):
    page = open_page(server)
    add(page, pictures["cat.png"])
    button(page, "Enlarge", "cat.png").wait_for()
    assert not page.get_by_label("Pages and frames").is_visible()
    add(page, pictures["moving.gif"])
    row(page, "moving.gif").get_by_text(
        "it holds several pages or frames, and the first is enlarged"
    ).wait_for()
    shoot(page, "frames")
    page.get_by_label("Pages and frames").select_option("all of them")
    row(page, "moving.gif").get_by_text("192 × 128, all 3 pictures in it").wait_for()
    page.get_by_role("button", name="Enlarge all 2").click()
    for name, arguments in (("cat.png", ()), ("moving.gif", ("--pages", "all"))):
        button(page, "Compare", name).wait_for()
        found, expected = download(page, name), command_line(pictures[name], *arguments)
        assert found.suggested_filename == expected.name
        assert found.path().read_bytes() == expected.read_bytes()
    with Image.open(found.path()) as animation:
        assert animation.n_frames == 3
    button(page, "Compare", "moving.gif").click()
    shown(page)


def test_a_queue_goes_on_past_a_broken_file(open_page, server, pictures, command_line, shoot):
    page = open_page(server)
    names = ["cat.png", "broken.jpg", "text.png", "alpha.png"]
    add(page, *(pictures[name] for name in names))
    row(page, "text.png").get_by_text("not an image").wait_for()
    # It begins like a photograph.
    button(page, "Enlarge", "broken.jpg").wait_for()
    page.get_by_role("button", name="Enlarge all 3").click()
    row(page, "broken.jpg").get_by_text("damaged or cut short").wait_for()
    # While it runs.
    add(page, pictures["grey16.png"])
    button(page, "Enlarge", "grey16.png").click()
    done = ["cat.png", "alpha.png", "grey16.png"]
    for name in done:
        button(page, "Compare", name).wait_for()
    shoot(page, "queue")
    assert "5 pictures, 3 enlarged, 2 failed" in page.locator("#overall").inner_text()
    with page.expect_download() as found:
        page.get_by_role("link", name="Download all").click()
    with zipfile.ZipFile(found.value.path()) as archive:
        assert archive.testzip() is None
        assert sorted(archive.namelist()) == sorted(name.replace(".", "_x4.") for name in done)
        for name in done:
            assert archive.read(name.replace(".", "_x4.")) == command_line(pictures[name]).read_bytes()


def test_progress_and_cancel(open_page, server, pictures, shoot, until):
    page = open_page(server)
    add(page, pictures["large.png"], pictures["cat.png"])
    page.get_by_role("button", name="Enlarge all 2").click()
    going = row(page, "large.png").get_by_role("progressbar", name="Progress of large.png")
    going.wait_for()
    until(lambda: 0 < going.evaluate("(bar) => bar.value") < 1)
    row(page, "large.png").get_by_text("left").wait_for()
    shoot(page, "progress")
    assert row(page, "cat.png").get_by_text("waiting").is_visible()
    button(page, "Cancel", "large.png").click()
    button(page, "Enlarge", "large.png").wait_for()
    # The next has its turn, and what was stopped can be asked for again.
    button(page, "Compare", "cat.png").wait_for()
    assert not [path for path in server.files if path.name == "large_x4.png" or ".dvmsr-" in path.name]


def test_before_and_after_by_slider_and_lens(open_page, server, pictures, shoot):
    page = open_page(server)
    enlarge(page, pictures["middle.png"])
    button(page, "Compare", "middle.png").click()
    shown(page)
    shoot(page, "slider")
    slider = page.get_by_role("slider", name="Before and after")
    stage = page.locator("#stage").bounding_box()

    def cut(layer):
        return page.locator(f"#layer-{layer}").evaluate("(layer) => layer.style.clipPath")

    assert cut("after").endswith("600px)")
    # By keyboard, and by dragging the line.
    slider.focus()
    page.keyboard.press("Home")
    assert cut("after").endswith("0px)")
    page.keyboard.press("End")
    assert "1200px" in cut("after")
    page.mouse.move(stage["x"] + 1199, stage["y"] + 300)
    page.mouse.down()
    page.mouse.move(stage["x"] + 300, stage["y"] + 300)
    page.mouse.up()
    assert slider.input_value() == "250"
    assert "300px" in cut("after")
    # One pixel of the result on one of the screen: what is seen there is the result, sample by sample.
    page.keyboard.press("Tab")
    page.get_by_role("button", name="One pixel of the result").click()
    slider.fill("0")
    shown(page)
    seen = np.asarray(Image.open(shoot(page, "one-to-one")).convert("RGB"))
    result = read_image(next(path for path in server.files if path.name == "middle_x4.png"))
    place = page.locator("#layer-after img").last.bounding_box()
    left, top = round(place["x"]), round(place["y"])
    assert (place["width"], place["height"]) == (576, 384)
    np.testing.assert_array_equal(seen[top + 40 : top + 340, left + 40 : left + 500], result[40:340, 40:500])
    # The lens shows both at that size, whatever the zoom.
    page.get_by_role("button", name="Lens 1:1").click()
    page.get_by_role("button", name="Zoom out").click()
    page.mouse.move(stage["x"] + 600, stage["y"] + 500)
    for pane in ("before", "after"):
        page.locator(f"#lens-{pane}[data-ready=true]").wait_for(state="attached")
        assert page.locator(f"#lens-{pane} img").last.bounding_box()["width"] == 576
    shoot(page, "lens")
    page.keyboard.press("Escape")
    assert not page.locator("#viewer").is_visible()


def test_a_part_first(open_page, server, pictures, shoot):
    page = open_page(server)
    path = pictures["middle.png"]
    add(page, path)
    button(page, "Try a part", path.name).click()
    box = page.get_by_role("application", name="Part of")
    box.wait_for()
    stage = page.locator("#stage").bounding_box()
    # Draw it: a quarter of the picture, which fills the stage at some zoom.
    picture = page.locator("#layer-before img").last.bounding_box()
    zoom = picture["width"] / 144
    page.mouse.move(picture["x"] + 10 * zoom, picture["y"] + 20 * zoom)
    page.mouse.down()
    page.mouse.move(picture["x"] + 30 * zoom, picture["y"] + 30 * zoom)
    page.mouse.move(picture["x"] + 50 * zoom, picture["y"] + 44 * zoom)
    page.mouse.up()
    assert stage["width"] == 1200
    assert "40 by 24 pixels, 10 from the left, 20 from the top" in box.get_attribute("aria-label")
    # And by keyboard.
    box.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowDown")
    assert "40 by 32 pixels, 18 from the left, 20 from the top" in box.get_attribute("aria-label")
    shoot(page, "part-box")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="40 × 32 → 160 × 128").wait_for()
    shown(page)
    shoot(page, "part")
    before = next(path for path in server.files if path.name.endswith("-before.png"))
    np.testing.assert_array_equal(read_image(before), read_image(path)[20:52, 18:58])
    page.get_by_role("button", name="Enlarge the whole picture").click()
    button(page, "Compare", path.name).wait_for()


def test_colours_are_those_of_the_original(open_page, server, pictures, shoot, until):
    """A flat picture of Display P3: a browser that knew nothing of that would show its plain numbers."""
    page = open_page(server)
    path = pictures["flat.png"]
    enlarge(page, path)
    result = download(page, path.name).path()
    button(page, "Compare", path.name).click()
    shown(page)
    seen = shoot(page, "colours")
    middle = page.locator("#stage").bounding_box()
    x, y = round(middle["x"] + middle["width"] / 2), round(middle["y"] + middle["height"] / 2)
    colours = {"before": colour_at(seen, x - 40, y), "after": colour_at(seen, x + 40, y)}
    plain = page.context.new_page()
    for name, file in (("before", path), ("after", result)):
        encoded = base64.b64encode(file.read_bytes()).decode()
        plain.set_content(f'<img src="data:image/png;base64,{encoded}" style="width: 400px; height: 300px">')
        until(lambda: plain.evaluate("document.images[0].complete"))
        expected = colour_at(io.BytesIO(plain.screenshot()), 200, 150)
        assert abs(colours[name] - expected).max() <= 1
        assert abs(expected - (200, 80, 60)).max() > 5
    plain.close()


def test_transparency_does_not_show_the_original_beneath(open_page, server, tmp_path):
    page = open_page(server)
    clear = np.zeros((24, 32, 4), np.uint8)
    clear[..., 0] = 255
    Image.fromarray(clear).save(tmp_path / "clear.png")
    add(page, tmp_path / "clear.png")
    # The setting is there where it matters.
    page.get_by_label("Transparency").wait_for()
    button(page, "Enlarge", "clear.png").click()
    button(page, "Compare", "clear.png").click()
    shown(page)
    box = page.locator("#stage").bounding_box()
    x, y = round(box["x"] + box["width"] / 2), round(box["y"] + box["height"] / 2)
    for side in (-30, 30):
        red, green, blue = colour_at(io.BytesIO(page.screenshot()), x + side, y)
        assert red == green == blue


def test_an_oversized_file(open_page, narrow_server, tmp_path, pictures):
    page = open_page(narrow_server)
    noise = np.random.default_rng(0).integers(0, 256, (150, 150, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "heavy.png")
    add(page, tmp_path / "heavy.png", pictures["large.png"], pictures["cat.png"])
    row(page, "heavy.png").get_by_text("and a file may have 52 kB here; take a smaller file").wait_for()
    button(page, "Enlarge", "cat.png").wait_for()
    button(page, "Remove", "heavy.png").click()
    row(page, "heavy.png").wait_for(state="detached")
    # What is too large only when enlarged is said before it is begun.
    page.get_by_label("Times larger", exact=True).fill("17")
    assert page.get_by_label("Times larger", exact=True).evaluate("(input) => !input.checkValidity()")
    page.get_by_label("Size", exact=True).select_option("longer side, in pixels")
    page.get_by_label("Longer side").fill("9000")
    row(page, "cat.png").get_by_text("cannot become long9000").wait_for()


def test_two_people_at_once(open_page, server, pictures):
    one, two = open_page(server), open_page(server)
    add(one, *(pictures[name] for name in ("middle.png", "p3.jpg", "alpha.png")))
    add(two, pictures["cat.png"])
    for page, name in ((one, "alpha.png"), (two, "cat.png")):
        button(page, "Enlarge", name).wait_for()
    for name in ("middle.png", "p3.jpg", "alpha.png"):
        button(one, "Enlarge", name).click()
        row(one, name).get_by_role("progressbar").wait_for()
    button(two, "Enlarge", "cat.png").click()
    button(two, "Compare", "cat.png").wait_for()
    for name in ("middle.png", "p3.jpg", "alpha.png"):
        button(one, "Compare", name).wait_for()
    assert two.locator(".picture").count() == 1
    # Who comes back finds what was there.
    two.reload()
    button(two, "Compare", "cat.png").wait_for()
    two.on("dialog", lambda dialog: dialog.accept())
    two.get_by_role("button", name="Remove all").click()
    two.get_by_text("No pictures yet").wait_for()
    assert one.locator(".picture").count() == 3
    assert not [path for path in server.files if path.name.startswith("cat")]


def test_a_phones_screen(open_page, server, pictures, shoot):
    page = open_page(server, viewport={"width": 360, "height": 640}, has_touch=True, is_mobile=True)
    # The settings stand above the pictures, and take a line.
    assert not page.get_by_label("Times larger", exact=True).is_visible()
    page.get_by_text("4 times larger").tap()
    page.get_by_label("Times larger", exact=True).fill("3")
    page.get_by_label("Format").select_option("WebP")
    shoot(page, "phone-settings")
    page.get_by_role("heading", name="How to enlarge").tap()
    page.get_by_text("3 times larger, WebP").wait_for()
    enlarge(page, pictures["middle.png"])

    def fits():
        return page.evaluate("document.documentElement.scrollWidth") <= 360

    assert fits()
    page.evaluate("scrollTo(0, 0)")
    shoot(page, "phone")
    low = page.locator("button:visible, a.button:visible, select:visible, .drop strong").evaluate_all(
        "(controls) => controls.filter((each) => each.getBoundingClientRect().height < 40).length"
    )
    assert low == 0
    button(page, "Compare", "middle.png").tap()
    shown(page)
    assert fits()
    shoot(page, "phone-slider")
    page.get_by_role("button", name="Lens 1:1").tap()
    page.touchscreen.tap(180, 400)
    page.locator("#lens-after[data-ready=true]").wait_for(state="attached")
    lens = page.locator("#lens").bounding_box()
    assert lens["x"] >= 0
    assert lens["x"] + lens["width"] <= 360
    shoot(page, "phone-lens")


def test_by_keyboard_and_with_names(open_page, server, pictures):
    page = open_page(server)
    page.evaluate("addEventListener('click', (event) => { window.clicked = event.target.id; })")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    # The dialog that the browser opens then is its own, and at times it is over before it can be answered.
    page.keyboard.press("Space")
    assert page.evaluate("window.clicked") == "choose"
    page.locator("#choose").set_input_files(pictures["cat.png"])
    button(page, "Enlarge", "cat.png").focus()
    page.keyboard.press("Enter")
    button(page, "Compare", "cat.png").wait_for()
    assert "cat.png is enlarged" in page.get_by_role("status").first.inner_text()
    # The button that was pressed has gone; the focus has not gone to the top of the page.
    assert page.evaluate("document.activeElement.closest('.picture') !== null")
    button(page, "Compare", "cat.png").focus()
    page.keyboard.press("Enter")
    shown(page)
    zoom = page.locator("#zoom-now").inner_text()
    page.locator("#stage").focus()
    page.keyboard.press("+")
    assert page.locator("#zoom-now").inner_text() != zoom
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.dataset.do") == "compare"
    # Everything that can be used says what it is.
    nameless = page.locator("button, a, input, select, [tabindex='0'], dialog, form, progress").evaluate_all(
        """(all) => all.filter((each) => !(each.labels?.length || each.textContent.trim() ||
            each.getAttribute("aria-label") || each.getAttribute("aria-labelledby")))
            .filter((each) => !each.closest("[hidden]")).map((each) => each.outerHTML)"""
    )
    assert nameless == []


@pytest.mark.parametrize("way", ["drop", "paste"])
def test_drop_and_paste(open_page, server, pictures, way):
    page = open_page(server)
    page.evaluate(
        """([way, encoded]) => {
            const bytes = Uint8Array.from(atob(encoded), (each) => each.charCodeAt(0));
            const data = new DataTransfer();
            data.items.add(new File([bytes], "brought.png", {type: "image/png"}));
            const event = way === "drop" ? new DragEvent(way, {dataTransfer: data, bubbles: true})
                : new ClipboardEvent(way, {clipboardData: data, bubbles: true});
            document.body.dispatchEvent(event);
        }""",
        [way, base64.b64encode(pictures["cat.png"].read_bytes()).decode()],
    )
    button(page, "Enlarge", "brought.png").wait_for()


def test_nothing_leaves_the_machine(open_page, server, pictures):
    # What watches the server would end it.
    watch = server.program.partition("from dvmsr")[0]
    for call in ("create_connection(('192.0.2.1', 9), 1)", "getaddrinfo('example.com', 80)"):
        program = f"{watch}import socket\nsocket.{call}"
        assert subprocess.run([sys.executable, "-c", program], stderr=subprocess.DEVNULL).returncode == 99
    page = open_page(server)
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.reload()
    enlarge(page, pictures["cat.png"])
    button(page, "Compare", "cat.png").click()
    shown(page)
    assert len(asked) > 10
    assert all(address.startswith(server.url) for address in asked)
    assert server.process.poll() is None


def test_the_program_ends_and_comes_again(open_page, start_server, tmp_path, pictures):
    server = start_server(folder=tmp_path)
    page = open_page(server)
    add(page, pictures["cat.png"])
    button(page, "Enlarge", "cat.png").wait_for()
    port = server.url.rstrip("/").rpartition(":")[2]
    assert server.end()[0] == 143
    button(page, "Enlarge", "cat.png").click()
    page.get_by_text("does not answer").wait_for()
    start_server("--port", port, folder=tmp_path)
    # It finds out by itself, and says what has happened.
    page.locator("#empty", has_text="What was here is gone").wait_for()
    assert page.locator(".picture").count() == 0
    assert not page.get_by_text("does not answer").is_visible()
    page.reload()
    page.get_by_text("No pictures yet").wait_for()
