
async function openCamera() {
  try {
    const video = { facingMode: "environment", width: { ideal: 1280 } };
    $("video").srcObject = await navigator.mediaDevices.getUserMedia({ video });
  } catch (error) {
    const denied = error.name === "NotAllowedError";
    throw new Error(denied ? "The browser was not allowed to use the camera; allow it beside the address." : "No camera was found.");
  }
  camera(true);
  await $("video").play();
}

function camera(on) {
  if (!on) for (const track of $("video").srcObject.getTracks()) track.stop();
  $("video").hidden = $("shoot").hidden = $("close").hidden = !on;
  $("drop").hidden = $("camera").hidden = on;
}

function shoot() {
  const canvas = document.createElement("canvas");
  canvas.width = $("video").videoWidth;
  canvas.height = $("video").videoHeight;
  canvas.getContext("2d").drawImage($("video"), 0, 0);
  camera(false);
  canvas.toBlob((blob) => take([new File([blob], "the camera's photo", { type: blob.type })]), "image/jpeg", 0.95);
}

$("camera").hidden = !navigator.mediaDevices; // browsers lend it to pages of this machine and to https alone
$("camera").addEventListener("click", () => openCamera().catch(say));
$("shoot").addEventListener("click", shoot);
$("close").addEventListener("click", () => camera(false));
