// What the scene kernels read: the data model as pointers, and what `Prepare` makes of an instance.
#pragma once

#include "../core/light.h"
#include "../core/texel.h"
#include "../core/triangle.h"
#include "../schedule/atomic.h"

namespace fastsynth {

constexpr int kMeshletVertices = 64;
constexpr int kMeshletFaces = 124;

// Packed assets; see the data model for every row.
struct AssetView {
  const float* vertex_data;          // [V, 8]
  const int32_t* vertex_colors;      // [V] packed RGBA or null
  const int32_t* faces;              // [F, 4]
  const int32_t* meshlets;           // [M, 4]
  const float* meshlet_bounds;       // [M, 8]
  const int32_t* levels;             // [Q, 4]
  const float* level_error;          // [Q]
  const int32_t* meshes;             // [K, 4]
  const float* mesh_bounds;          // [K, 6]
  const float* hull;                 // [U, 3]
  const float* materials;            // [R, 8]
  const int32_t* material_textures;  // [R, 2]
  int32_t mesh_count, face_count;
  Textures textures;
};

// Poses and cameras.
struct SceneView {
  int32_t images, instances;
  const int32_t* mesh_id;          // [B, N]
  const float* world_from_object;  // [B, N, 4, 4]
  const float* intrinsics;         // [B, 3, 3] in image heights
  const float* camera_from_world;  // [B, 4, 4]
  float near;
  const int32_t* layer;  // [B, N], or null: all in one
};

// An instance made ready to be drawn at one image size.
struct Prepared {
  Affine clip;    // ndc x * w, ndc y * w, w from object space
  Affine world;   // world from object
  Affine normal;  // world normal from object normal
  float eye[3];   // in object space
  int32_t first_meshlet, meshlets, first_face, faces;
  int32_t mirrored;  // does the pose turn the winding around?
  int32_t visible;   // 0: nothing to draw
  int32_t level;     // of detail, within the mesh
  float front;       // multiplies z/w, the more the higher the layer; see layers.h
};

// A vertex of the pool.
template <class T>
struct Vertex {
  T v[8];

  FS_HD Vec3<T> position() const { return {v[0], v[1], v[2]}; }
  FS_HD Vec3<T> normal() const { return {v[3], v[4], v[5]}; }
  FS_HD T tu() const { return v[6]; }
  FS_HD T tv() const { return v[7]; }
};
template <class T, class I, class M>
FS_HD Vertex<T> load_vertex(const AssetView& assets, I row, M active) {
  Vertex<T> vertex;
  gather_row<8, 3>(assets.vertex_data, row, active, vertex.v);
  return vertex;
}
template <class T, class I, class M>
FS_HD Vec3<T> load_position(const AssetView& assets, I row, M active) {
  T v[4];
  gather_row<4, 3>(assets.vertex_data, row, active, v);
  return {v[0], v[1], v[2]};
}
template <class T>
FS_HD Vec3<T> weigh(Vec3<T> a, Vec3<T> b, Vec3<T> c, const Hit<T>& hit) {
  return a * hit.w0 + b * hit.w1 + c * hit.w2;
}

}  // namespace fastsynth
