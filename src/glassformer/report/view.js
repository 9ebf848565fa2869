// Draws the particles of #view-data on #view-canvas, as points that look like spheres. Those that the sliders leave out are
// not handed to the GPU.
import {
  BoxGeometry, BufferAttribute, BufferGeometry, Color, DataTexture, EdgesGeometry, LinearFilter, LineBasicMaterial,
  LineSegments, PerspectiveCamera, Points, Scene, ShaderMaterial, WebGLRenderer,
} from "three";
import { OrbitControls } from "three-controls";

const part = (name) => document.getElementById(`view-${name}`);
const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
const floats = (text) => new Float32Array(bytes(text).buffer);

// Writes the unit of length between two texts.
function inSigma(element, before, after = "") {
  const index = document.createElement("sub");
  index.textContent = "AA";
  element.replaceChildren(before, "σ", index, after);
}

const VERTEX = `
attribute float radius, value;
uniform vec2 span;
uniform float height;
varying vec3 seen;
varying float size, shade;
void main() {
  size = radius;
  shade = clamp((value - span.x) / (span.y - span.x), 0.0, 1.0);
  seen = (modelViewMatrix * vec4(position, 1.0)).xyz;
  gl_Position = projectionMatrix * vec4(seen, 1.0);
  gl_PointSize = radius * projectionMatrix[1][1] * height / gl_Position.w;
}`;
const FRAGMENT = `
uniform sampler2D shades;
uniform mat4 projectionMatrix;
varying vec3 seen;
varying float size, shade;
void main() {
  vec2 corner = vec2(2.0, -2.0) * (gl_PointCoord - 0.5);
  float square = dot(corner, corner);
  if (square > 1.0) discard;
  vec3 normal = vec3(corner, sqrt(1.0 - square));
  float light = 0.5 + 0.5 * max(dot(normal, normalize(vec3(-0.4, 0.6, 1.0))), 0.0);
  light *= mix(1.0, 0.45, smoothstep(0.75, 1.0, square));
  gl_FragColor = vec4(light * texture2D(shades, vec2(shade, 0.5)).rgb, 1.0);
  float depth = seen.z + size * normal.z;
  gl_FragDepth = 0.5 - 0.5 * (projectionMatrix[2][2] * depth + projectionMatrix[3][2]) / depth;
}`;
// Frames that take longer, in ms, are drawn coarsely while the view is turned: there is no GPU.
const SLOW = 40;

function spheres(number) {
  const geometry = new BufferGeometry();
  for (const [name, size] of [["position", 3], ["radius", 1], ["value", 1]]) {
    geometry.setAttribute(name, new BufferAttribute(new Float32Array(size * number), size));
  }
  const shades = new DataTexture(new Uint8Array(1024), 256, 1);
  shades.minFilter = shades.magFilter = LinearFilter;
  const uniforms = { span: { value: [0, 1] }, shades: { value: shades }, height: { value: 1 } };
  const points = new Points(geometry, new ShaderMaterial({ uniforms, vertexShader: VERTEX, fragmentShader: FRAGMENT }));
  points.frustumCulled = false;
  return points;
}

function start(data) {
  const canvas = part("canvas");
  // The outline of a sphere is decided pixel by pixel: antialiasing would cost time and change nothing.
  const renderer = new WebGLRenderer({ canvas, antialias: false, alpha: true });
  const camera = new PerspectiveCamera(30, 1, 0.1, 100 * Math.max(...data.box));
  const controls = new OrbitControls(camera, canvas);
  const scene = new Scene();
  const positions = floats(data.positions);
  const kinds = bytes(data.kinds);
  const drawn = spheres(kinds.length);
  const outline = new LineSegments(new EdgesGeometry(new BoxGeometry(...data.box)), new LineBasicMaterial());
  scene.add(drawn, outline);

  let waiting = false, moving = false, slow = false, measured = false, rest = 0;
  function paint() {
    waiting = false;
    renderer.setPixelRatio(Math.min(window.devicePixelRatio, 2) / (moving && slow ? 2 : 1));
    drawn.material.uniforms.height.value = canvas.height;
    const started = performance.now();
    renderer.render(scene, camera);
    if (!moving || measured) return;
    // Reading waits until all is drawn.
    const gl = renderer.getContext();
    gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(4));
    slow = performance.now() - started > SLOW;
    measured = true;
  }
  function draw() {
    if (!waiting) requestAnimationFrame(paint);
    waiting = true;
  }
  function turned() {
    moving = true;
    clearTimeout(rest);
    rest = setTimeout(() => { moving = false; draw(); }, 200);
    draw();
  }

  let values, standings;
  function colour() {
    const name = document.querySelector("#view-controls input[name=colour]:checked").value;
    const chosen = data.colourings.find((one) => one.name === name);
    values = chosen.values ? floats(chosen.values) : kinds;
    standings = floats(data.standings[chosen.by]);
    const { span, shades } = drawn.material.uniforms;
    span.value = chosen.span;
    shades.value.image.data.set(bytes(chosen.shades));
    shades.value.needsUpdate = true;
    part("scale").hidden = name === "species";
    part("species").hidden = name !== "species";
    if (chosen.bar) {
      if (chosen.unit) part("title").textContent = `${chosen.title} [${chosen.unit}]`;
      else inSigma(part("title"), `${chosen.title} [`, "]");
      part("bar").style.background = `linear-gradient(to right, ${chosen.bar.join(", ")})`;
      // The scale may leave out the smallest and the largest values.
      const ends = chosen.span.map((end) => end.toPrecision(3).replace("-", "−"));
      [part("low").textContent, part("high").textContent] = [`≤ ${ends[0]}`, `≥ ${ends[1]}`];
    }
    part("by").textContent = `Most mobile: by ${chosen.by} propensity.`;
    choose();
  }

  function choose() {
    const share = Number(part("share").value);
    const thickness = Number(part("thickness").value);
    const middle = Number(part("centre").value);
    // The largest value of a slider is rounded: it means all.
    const whole = thickness > data.box[2] - 1e-3;
    // Standings have single precision.
    const least = Math.fround(1 - share / 100) - 1e-6;
    part("share-value").textContent = share === 100 ? "all particles" : `${share} % of each species`;
    part("centre").disabled = whole;
    if (whole) part("thickness-value").textContent = "the whole box";
    else inSigma(part("thickness-value"), `${thickness.toFixed(1)} `);
    inSigma(part("centre-value"), `${middle.toFixed(1)} `);
    const { position, radius, value } = drawn.geometry.attributes;
    let shown = 0;
    for (let i = 0; i < kinds.length; i += 1) {
      const away = Math.abs(positions[3 * i + 2] - middle);
      if (standings[i] < least || !(whole || Math.min(away, data.box[2] - away) <= thickness / 2)) continue;
      // The box has its middle at the origin.
      for (let k = 0; k < 3; k += 1) position.array[3 * shown + k] = positions[3 * i + k] - data.box[k] / 2;
      radius.array[shown] = data.diameters[kinds[i]] / 2;
      value.array[shown] = values[i];
      shown += 1;
    }
    drawn.geometry.setDrawRange(0, shown);
    // Fewer or more of them may be slow or not.
    measured = false;
    for (const one of [position, radius, value]) one.needsUpdate = true;
    part("shown").textContent = `${shown.toLocaleString("en")} of ${kinds.length.toLocaleString("en")} particles shown.`;
    draw();
  }

  function fit() {
    const { clientWidth: width, clientHeight: height } = canvas;
    if (!width || !height) return;
    renderer.setSize(width, height, false);
    camera.aspect = width / height;
    camera.updateProjectionMatrix();
    draw();
  }

  function dress() {
    outline.material.color = new Color(getComputedStyle(canvas).color);
    draw();
  }

  // Far enough for the whole box, whichever way it is turned, however narrow the page is.
  fit();
  const reach = Math.hypot(...data.box) / 2 / Math.sin((camera.fov * Math.PI) / 360) / Math.min(1, camera.aspect);
  camera.position.set(0.45, 0.35, 0.82).setLength(reach);
  controls.update();
  controls.saveState();
  controls.enablePan = false;
  // A wheel that only passes over the view scrolls the page.
  controls.enableZoom = false;
  canvas.addEventListener("focus", () => { controls.enableZoom = true; });
  canvas.addEventListener("blur", () => { controls.enableZoom = false; });
  canvas.addEventListener("keydown", (event) => {
    const turn = { ArrowLeft: [0.1, 0], ArrowRight: [-0.1, 0], ArrowUp: [0, 0.1], ArrowDown: [0, -0.1] }[event.key];
    if (!turn) return;
    event.preventDefault();
    controls.rotateLeft(turn[0]);
    controls.rotateUp(turn[1]);
  });
  controls.addEventListener("change", turned);
  part("reset").addEventListener("click", () => controls.reset());
  part("controls").addEventListener("submit", (event) => event.preventDefault());
  for (const input of part("controls").querySelectorAll("input")) {
    input.addEventListener("input", input.name === "colour" ? colour : choose);
  }
  new ResizeObserver(fit).observe(canvas);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", dress);
  colour();
  dress();
}

if (document.createElement("canvas").getContext("webgl2")) {
  for (const name of ["missing", "controls", "stage"]) part(name).hidden = name === "missing";
  start(JSON.parse(part("data").textContent));
}
